"""Train the world model: `worldmodel train teco --preset maze --data DIR --out RUN`.

Stage two of two, after `training/vqgan.py`. Writes RUN/teco (checkpoint, metrics, strips) and the
code grids it trains on (RUN/codes); `training/finish.py` then makes RUN/world of both stages. The
loop around `TecoStage.step` is in `training/trainer.py`.
"""

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from worldmodel_env.data.clips import Clips, consecutive_clips, sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.imagination.step import State
from worldmodel_env.imagination.world import World
from worldmodel_env.models.blocks import TecoResBlock
from worldmodel_env.models.initialise import initialise_as_published
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.temporal import Layer
from worldmodel_env.models.vqgan import VqganConfig
from worldmodel_env.precision import autocast, resolve_device, resolve_dtype
from worldmodel_env.training.begin_with import (
    has_odometer,
    identity,
    take_tokenizer,
    take_weights,
)
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.carry import Carried, check_carry, check_episodes
from worldmodel_env.training.checkpoint import Checkpoint, Part
from worldmodel_env.training.compute import Compute, prepare_blocks
from worldmodel_env.training.distributed import Team, join, whole
from worldmodel_env.training.ema import Ema
from worldmodel_env.training.encode import encode_sets, load_tokenizer
from worldmodel_env.training.encoded import continued
from worldmodel_env.training.events import require_tensorboard
from worldmodel_env.training.held_out import HeldOut
from worldmodel_env.training.odometry import fit_odometer
from worldmodel_env.training.portions import hold_rest, parameter_groups
from worldmodel_env.training.recipes import LossConfig, TecoTraining
from worldmodel_env.training.spaces import check_frames, with_actions
from worldmodel_env.training.teco_loss import teco_losses
from worldmodel_env.training.trainer import Findings, train
from worldmodel_env.training.upkeep import renew_codes

STAGE = "teco"


def train_teco(
    config: TecoConfig,
    training: TecoTraining,
    *,
    vqgan: VqganConfig,
    data: Path,
    out: Path,
    budget: Budget,
    seed: int = 0,
    compute: Compute = Compute(),  # noqa: B008  frozen
    begin_with: World | None = None,
    new_memory: bool = False,
    skip_corrupt: bool = False,
) -> Path:
    """Train a world model on a trained tokenizer's codes, or resume the training in `out`.

    Args:
        config: the model.
        training: the recipe.
        vqgan: the tokenizer's configuration; its weights are read from `out`.
        data: a recorded data set with train and validation episodes.
        out: the run's folder.
        budget: when to stop; part of the schedule, so a resumed run should name the same.
        seed: of the weights, the order of the clips and the training noise.
        compute: on what, and in how many processes.
        begin_with: a world whose tokenizer and weights to begin with, instead of random ones.
        new_memory: give the model the memory that `config` names and `begin_with` lacks.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: unusable data, no tokenizer, a world of other sizes, another run's checkpoint,
            or a loss that is not finite.
    """
    require_figures()
    require_tensorboard()
    budget.rate(training.learning_rate, training.schedule, 0, 0.0)  # refuses what does not fit
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    check_frames(vqgan, dataset)
    if config.recall and training.loss.actions_ahead:
        raise InputError(
            f"recall is {config.recall} and actions_ahead {training.loss.actions_ahead}, so poses "
            "would be added up from actions of other frames; use one of the two."
        )
    if begin_with and begin_with.config.teco.motion:
        config = replace(config, motion=begin_with.config.teco.motion)
    config = with_actions(config, dataset)
    check_carry(training, config, compute)
    if not (training.rest_rate or begin_with):
        raise InputError(
            "rest_rate is 0, but there is no world to begin with, and random weights would stay "
            "random; name one or give a rate above 0."
        )
    device = resolve_device(compute.device)
    dtype = resolve_dtype(compute.precision, device)
    with join(compute.distributed, device) as team:
        with team.leader_first():
            if begin_with:
                take_tokenizer(begin_with, vqgan, out)
            tokenizer = load_tokenizer(out, vqgan).to(device)
            codes = encode_sets(tokenizer, dataset, out / "codes", dtype)
        check_episodes(training, int(np.diff(codes["train"].starts).max()))
        torch.manual_seed(seed)
        model = Teco(config)
        if training.initial_weights == "published":
            initialise_as_published(model)
        model.code_vectors.copy_(tokenizer.codebook.vectors())
        fresh = take_weights(begin_with, model, new_memory=new_memory) if begin_with else []
        if not (Checkpoint.find(out / STAGE) or (begin_with and has_odometer(begin_with))):
            fit_odometer(model, dataset, codes["train"], seed)
        held_out = HeldOut(codes["validation"], dataset, tokenizer, training, dtype)
        stage = TecoStage(
            model.to(device), training, codes["train"], held_out,
            folder=out / STAGE, budget=budget, seed=seed, compute=compute, team=team,
            begun_with=identity(begin_with), new_parameters=", ".join(fresh),
        )  # fmt: skip
        return train(stage, out / STAGE, budget, training, team).path


class TecoStage:
    """The world model's training step, for the loop in `training/trainer.py`."""

    name = STAGE

    def __init__(
        self,
        model: Teco,
        training: TecoTraining,
        codes: CodeStore,
        held_out: HeldOut,
        *,
        folder: Path,
        budget: Budget,
        seed: int,
        compute: Compute,
        team: Team,
        begun_with: str = "",
        new_parameters: str = "",
    ) -> None:
        """Prepare a model, on its device, for training on `codes`."""
        self.training, self.codes, self.held_out = training, codes, held_out
        self.folder, self.budget, self.seed, self.team = folder, budget, seed, team
        self.place = model.start.device
        self.dtype = resolve_dtype(compute.precision, self.place)
        self.rows = team.rows(training.batch_size, compute.accumulate)
        self.shown = deepcopy(model).requires_grad_(False)
        # What a GPU's convolutions want; but only contiguous tensors can be sharded.
        if self.place.type == "cuda" and team.mode != "fsdp":
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        blocks = [m for m in model.modules() if isinstance(m, Layer | TecoResBlock)]
        prepare_blocks(blocks, compute)
        self.model = model
        self.carried = Carried(model, training.batch_size) if training.carry > 1 else None
        if not training.rest_rate:
            hold_rest(model)
        self.loss = team.wrap(TecoLoss(model, training.loss), blocks)
        self.optimizer = torch.optim.AdamW(
            parameter_groups(model, training.rest_rate),
            betas=(0.9, 0.95), weight_decay=training.weight_decay,
        )  # fmt: skip
        self.average = Ema(model, training.average_decay) if training.average_decay else None

        self.config = model.cfg
        self.frames = training.batch_size * training.clip
        # Codes of another tokenizer would mean nothing to the model.
        self.same: Mapping[str, Any] = {
            "seed": seed, "tokenizer": codes.key["tokenizer"], "train_data": codes.key["data"],
            "begun_with": begun_with, "new_parameters": new_parameters,
            "rest_rate": training.rest_rate,  # it says which numbers the optimizer has
        }  # fmt: skip
        self.parts: Mapping[str, Part] = {"model": model, "optimizer": self.optimizer}
        if self.average is not None:
            self.parts = {**self.parts, "model": self.average, "trained": model}
        if self.carried is not None:
            self.parts = {**self.parts, "carried": self.carried}

    def step(self, step: int, progress: float) -> dict[str, float]:
        """One optimizer step; see `trainer.Stage`."""
        training, team = self.training, self.team
        rate = self.budget.rate(training.learning_rate, training.schedule, step, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        clips, earlier, begins = self._clips(step)
        self.optimizer.zero_grad(set_to_none=True)
        shares, codes, projected, states = [], [], [], []
        for rows in self.rows:
            # The same random numbers for each part: they are drawn for the whole batch.
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
            with team.gradients(self.loss, final=rows == self.rows[-1]):
                with autocast(self.place, self.dtype):
                    losses, chosen, latents, state = self.loss(
                        clips, generator, rows, earlier, begins
                    )
                (losses["loss"] * team.size).backward()  # the team takes the mean
            shares.append(torch.stack([term.detach() for term in losses.values()]))
            codes.append(chosen)
            projected.append(latents)
            states.append(state)
        limit = math.inf if training.clip_norm is None else training.clip_norm
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model, step)
        if self.carried is not None:
            merged = {name: torch.cat([state[name] for state in states]) for name in earlier}
            self.carried.replace({name: team.gather(rows) for name, rows in merged.items()})
        self._keep_codes_alive(torch.cat(codes), torch.cat(projected), step, progress, generator)
        total = team.total(torch.stack(shares).sum(0)).tolist()
        metrics = dict(zip(losses, total, strict=True))
        return {**metrics, "grad_norm": float(whole(norm)), "learning_rate": rate}

    def _clips(self, step: int) -> tuple[Clips, State, Tensor]:
        """The batch; of clips that go on, the state before them and (B,) bool: which begin anew."""
        training = self.training
        drawn = (self.codes, training.clip, training.batch_size, self.seed, step)
        if self.carried is None:
            return sample_clips(*drawn, training.ends).to(self.place), {}, torch.empty(0)
        clips, begins = consecutive_clips(*drawn, training.carry)
        return clips.to(self.place), self.carried.state(), begins.to(self.place)

    def _keep_codes_alive(
        self,
        codes: Tensor,
        projected: Tensor,
        step: int,
        progress: float,
        generator: torch.Generator,
    ) -> None:
        """Start the latent codebook from data, later move its unused codes."""
        codebook = self.model.codebook.codebook
        codebook.track(self.team.gather(codes))
        if (step == 0 and self.same["begun_with"]) or not self.training.rest_rate:
            return  # the codes have their places
        if step == 0 or (progress < 0.5 and step % self.training.restart_every == 0):
            latents = self.team.gather(projected)
            averaged = self.average.state_dict() if self.average is not None else {}
            average = averaged.get("codebook.codebook.weight")
            renew_codes(codebook, average, latents, generator, first=step == 0)

    def evaluate(self, step: int) -> Findings:
        """Look at held-out clips with the weights that will be used; see `trainer.Stage`."""
        used = self.parts["model"].state_dict()
        weights = {name: whole(tensor) for name, tensor in used.items()}
        if not self.team.leads:
            return Findings()
        self.shown.load_state_dict(weights)
        return self.held_out.evaluate(self.shown, step, self.folder)


class TecoLoss(nn.Module):
    """`teco_losses` as a module, whose forward pass distributed training can watch."""

    def __init__(self, model: Teco, config: LossConfig) -> None:
        super().__init__()
        self.model, self.config = model, config

    def forward(
        self, clips: Clips, generator: torch.Generator, rows: slice, earlier: State, begins: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor, State]:
        """The share of `rows` in the losses of the whole batch; their latent codes and latents.

        Args:
            clips: the whole batch.
            generator: of all random numbers.
            rows: the clips to compute.
            earlier: the state before them, if they go on where others ended; else empty.
            begins: (B,) bool, clips that begin anew nevertheless.

        Returns:
            Losses by name, codes (N, g, g) of valid frames, latents (M, code_dim) before
            quantisation; and the state after `rows`, if there was one before them.
        """
        carried = None
        if earlier:
            before = {name: tensor[rows] for name, tensor in earlier.items()}
            carried = continued(self.model, clips.rows(rows), before, begins[rows])
        losses, encoded = teco_losses(self.model, clips, self.config, generator, rows, carried)
        codes, projected = encoded.z_codes[encoded.valid], encoded.projected.clone()
        return losses, codes, projected, encoded.state or {}
