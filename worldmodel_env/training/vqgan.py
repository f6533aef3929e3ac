"""Train the tokenizer: `worldmodel train vqgan --preset maze --data DIR --out RUN`.

Stage one of two. Writes RUN/vqgan: checkpoint, metrics, strips. The loop around `VqganStage.step`
is in `training/trainer.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.frames import FrameSampler
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.strips import write_strips
from worldmodel_env.evaluation.tokenizer import measure_tokenizer
from worldmodel_env.models.blocks import ResBlock, frames_to_float
from worldmodel_env.models.codebook import perplexity
from worldmodel_env.models.discriminator import Discriminator
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.precision import autocast, resolve_device, resolve_dtype
from worldmodel_env.training.budget import Budget, anneal
from worldmodel_env.training.checkpoint import Part
from worldmodel_env.training.compute import Compute, prepare_blocks
from worldmodel_env.training.distributed import Team, join
from worldmodel_env.training.ema import Ema
from worldmodel_env.training.events import require_tensorboard
from worldmodel_env.training.recipes import VqganTraining
from worldmodel_env.training.spaces import check_frames
from worldmodel_env.training.trainer import Findings, train
from worldmodel_env.training.upkeep import renew_codes
from worldmodel_env.training.vqgan_loss import discriminator_losses, vqgan_losses

STAGE = "vqgan"
HELD_OUT = 512
"""Frames on which it is evaluated; enough for every code of a thousand to have its chance."""
SHOWN = 16
"""Of these, frames in a strip."""


def train_vqgan(
    config: VqganConfig,
    training: VqganTraining,
    *,
    data: Path,
    out: Path,
    budget: Budget,
    seed: int = 0,
    compute: Compute = Compute(),  # noqa: B008  frozen
    skip_corrupt: bool = False,
) -> Path:
    """Train a tokenizer, or resume the training in `out`.

    Args:
        config: the model.
        training: the recipe.
        data: a recorded data set with train and validation episodes.
        out: the run's folder.
        budget: when to stop; part of the schedule, so a resumed run should name the same.
        seed: of the weights and the order of the data; the same seed and step give the same batch.
        compute: on what, and in how many processes; a tokenizer is small, and its discriminator
            must see the whole batch: no accumulation, no sharding.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: unusable data, missing perceptual weights, another run's checkpoint, or a loss
            that is not finite.
    """
    require_figures()
    require_tensorboard()
    if compute.distributed == "fsdp" or compute.accumulate > 1:
        raise InputError(
            f"distributed is {compute.distributed!r} and accumulate {compute.accumulate} for a "
            "tokenizer, which is small; use 'ddp' or 'none', and 1."
        )
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    check_frames(config, dataset)
    device = resolve_device(compute.device)
    with join(compute.distributed, device) as team:
        torch.manual_seed(seed)
        stage = VqganStage(
            config, training, dataset,
            folder=out / STAGE, device=device, seed=seed, compute=compute, team=team,
        )  # fmt: skip
        return train(stage, out / STAGE, budget, training, team).path


class VqganStage:
    """The tokenizer's training step, for the loop in `training/trainer.py`."""

    name = STAGE

    def __init__(
        self,
        config: VqganConfig,
        training: VqganTraining,
        dataset: TrajectoryDataset,
        *,
        folder: Path,
        device: torch.device,
        seed: int,
        compute: Compute,
        team: Team,
    ) -> None:
        """Build the model, its discriminator and their optimizers."""
        self.config, self.folder, self.device, self.seed = config, folder, device, seed
        self.dtype, self.team = resolve_dtype(compute.precision, device), team
        self.batches = FrameSampler(dataset, "train", training.batch_size, seed)
        self.held_out = FrameSampler(dataset, "validation", HELD_OUT, seed).batch(0)
        (self.rows,) = team.rows(training.batch_size, 1)
        if some := training.perceptual_frames:
            training = replace(training, perceptual_frames=max(1, some // team.size))
        self.training, self.frames = training, training.batch_size
        # Channels-last is what a GPU's convolutions want; a CPU's group normalisation is ten times
        # slower in it, which costs the whole step a quarter.
        self.layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        self.model = Vqgan(config).to(device, memory_format=self.layout)  # type: ignore[call-overload]
        prepare_blocks((m for m in self.model.modules() if isinstance(m, ResBlock)), compute)
        self.average = Ema(self.model, training.average_decay)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=training.betas, weight_decay=training.weight_decay
        )
        self.lpips = None
        if training.perceptual != "none":
            self.lpips = Lpips(training.perceptual).to(device)
        self.judge = Discriminator(training.gan.discriminator)
        self.judge.to(device, memory_format=self.layout)  # type: ignore[call-overload]
        self.judge_optimizer = torch.optim.Adam(self.judge.parameters(), betas=(0.5, 0.9))
        self.same: Mapping[str, Any] = {"seed": seed, "train_data": dataset.data_hash("train")}
        self.parts: Mapping[str, Part] = {
            "model": self.average,
            "trained": self.model,
            "optimizer": self.optimizer,
            "discriminator": self.judge,
            "discriminator_optimizer": self.judge_optimizer,
        }

    def step(self, step: int, progress: float) -> dict[str, float]:
        """One optimizer step of the tokenizer, and of its judge; see `trainer.Stage`."""
        training, gan, team = self.training, self.training.gan, self.team
        # Once begun it goes on, even if a longer budget now begins it later.
        judging = gan.weight > 0 and (progress >= gan.start or bool(self.judge_optimizer.state))
        judge = self.judge if judging else None
        _set_rate(self.optimizer, anneal(training.learning_rate, progress))
        _set_rate(self.judge_optimizer, anneal(gan.learning_rate, progress))
        batch = torch.from_numpy(self.batches.batch(step)[self.rows])
        x = frames_to_float(batch).to(self.device).contiguous(memory_format=self.layout)
        with autocast(self.device, self.dtype):
            if step % training.restart_every == 0:
                self._renew_codes(x, step)
            losses, codes, reconstruction = vqgan_losses(
                self.model, x, self.lpips, judge, training, team.mean
            )
            if judge is not None:
                losses |= discriminator_losses(judge, x, reconstruction)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        team.average_gradients(self.model)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), training.clip_norm)
        self.optimizer.step()
        if judge is not None:
            self.judge_optimizer.zero_grad(set_to_none=True)
            losses["discriminator"].backward()
            team.average_gradients(judge)
            self.judge_optimizer.step()
        codes = team.gather(codes)
        self.model.codebook.track(codes)
        self.average.update(self.model, step)
        means = team.mean(torch.stack([term.detach() for term in losses.values()])).tolist()
        return {
            **dict(zip(losses, means, strict=True)),
            "grad_norm": float(norm),
            "perplexity": float(perplexity(codes, self.config.n_codes)),
        }

    @torch.no_grad()
    def _renew_codes(self, x: Tensor, step: int) -> None:
        """Start the codebook from data, later move its unused codes; in the average as well."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        latents = self.team.gather(self.model.latents(x).flatten(0, 2))
        average = self.average.state_dict()["codebook.weight"]
        renew_codes(self.model.codebook, average, latents, generator, first=step == 0)

    def evaluate(self, step: int) -> Findings:
        """Look at held-out frames with the averaged weights; see `trainer.Stage`."""
        if not self.team.leads:
            return Findings()
        frames = self.held_out
        with self.average.applied(self.model), autocast(self.device, self.dtype):
            quality, decoded = measure_tokenizer(self.model, frames)
        strip = self.folder / "strips" / f"{step:06d}.png"
        strip.parent.mkdir(parents=True, exist_ok=True)
        shown = slice(None, None, HELD_OUT // SHOWN)
        write_strips(strip, [{"true": frames[shown], "tokenizer": decoded[shown]}], range(SHOWN))
        metrics = {
            "held_out_psnr": quality.psnr,
            "held_out_codes_used": quality.codes_used,
            "held_out_perplexity": quality.perplexity,
        }
        text = f"held-out PSNR {quality.psnr:.2f} dB, {quality.codes_used:.0%} of the codes used"
        return Findings(metrics, text, {"tokenizer": strip})


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
