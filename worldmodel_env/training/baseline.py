"""The training step of a baseline, for the loop in `training/trainer.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from worldmodel_env.data.clips import Clips, sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.models.baselines.codes import Baseline
from worldmodel_env.models.baselines.latent_diffusion import LatentDiffusion, LatentDiffusionConfig
from worldmodel_env.models.baselines.recurrent_latent import RecurrentLatent, RecurrentLatentConfig
from worldmodel_env.models.baselines.space_time import SpaceTime, SpaceTimeConfig
from worldmodel_env.precision import autocast, resolve_dtype
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import Part
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.ema import Ema
from worldmodel_env.training.recipes import Rhythm, Schedule
from worldmodel_env.training.trainer import Findings

BaselineConfig = RecurrentLatentConfig | SpaceTimeConfig | LatentDiffusionConfig

HELD_OUT = 16
"""Validation clips of an evaluation."""


@dataclass(frozen=True)
class BaselineTraining(Rhythm):
    """How a baseline is trained.

    Attributes:
        clip: frames per clip T.
        batch_size: clips per step.
        learning_rate: AdamW's peak rate.
        schedule: how the rate moves.
        weight_decay: of AdamW, on all parameters.
        clip_norm: largest norm of the gradient.
        average_decay: of the exponential mean of the weights, which is what is evaluated and used.
    """

    clip: int = 64
    batch_size: int = 8
    learning_rate: float = 8e-4
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 1e-5
    clip_norm: float = 1.0
    average_decay: float = 0.995


def make_baseline(config: BaselineConfig) -> nn.Module:
    """The model of a configuration; a `models.baselines.codes.Baseline`."""
    match config:
        case RecurrentLatentConfig():
            return RecurrentLatent(config)
        case SpaceTimeConfig():
            return SpaceTime(config)
        case LatentDiffusionConfig():
            return LatentDiffusion(config)


class BaselineStage:
    """One baseline and how it learns; see `trainer.Stage`."""

    name = "baseline"

    def __init__(
        self,
        config: BaselineConfig,
        training: BaselineTraining,
        codes: Mapping[str, CodeStore],
        code_vectors: Tensor,
        *,
        budget: Budget,
        seed: int,
        compute: Compute,
    ) -> None:
        """Make the model.

        Args:
            config: of it.
            training: the recipe.
            codes: the training and the validation episodes.
            code_vectors: (K, E), the tokenizer's codebook, where the model shall be.
            budget: when to stop, which the learning rate follows.
            seed: of weights, clips and training noise.
            compute: precision; there is one process.
        """
        self.config, self.training, self.codes = config, training, codes["train"]
        self.budget, self.seed, self.place = budget, seed, code_vectors.device
        self.dtype = resolve_dtype(compute.precision, self.place)
        torch.manual_seed(seed)
        self.model = make_baseline(config).to(self.place)
        self.baseline: Baseline = self.model  # type: ignore[assignment]
        self.baseline.code_vectors.copy_(code_vectors)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=(0.9, 0.95), weight_decay=training.weight_decay
        )
        self.average = Ema(self.model, training.average_decay)
        held_out = min(HELD_OUT, training.batch_size)
        self.held_out = sample_clips(codes["validation"], training.clip, held_out, 0, 0)
        self.frames = training.batch_size * training.clip
        self.same: Mapping[str, Any] = {
            "seed": seed, "tokenizer": self.codes.key["tokenizer"],
            "train_data": self.codes.key["data"],
        }  # fmt: skip
        self.parts: Mapping[str, Part] = {
            "model": self.average, "trained": self.model, "optimizer": self.optimizer
        }  # fmt: skip

    def step(self, step: int, progress: float) -> dict[str, float]:
        """One optimizer step; see `trainer.Stage`."""
        training = self.training
        rate = self.budget.rate(training.learning_rate, training.schedule, step, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        clips = sample_clips(self.codes, training.clip, training.batch_size, self.seed, step)
        losses = self._losses(clips, self.seed * 1_000_003 + step)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), training.clip_norm)
        self.optimizer.step()
        self.average.update(self.model, step)
        metrics = {name: float(term.detach()) for name, term in losses.items()}
        return {**metrics, "grad_norm": float(norm), "learning_rate": rate}

    @torch.no_grad()
    def evaluate(self, step: int) -> Findings:
        """The losses of held-out clips with the averaged weights; see `trainer.Stage`."""
        with self.average.applied(self.model):
            losses = self._losses(self.held_out, 0)
        metrics = {f"validation_{name}": float(term) for name, term in losses.items()}
        return Findings(metrics, f"validation loss {metrics['validation_loss']:.4g}")

    def _losses(self, clips: Clips, seed: int) -> dict[str, Tensor]:
        clips = clips.to(self.place)
        assert clips.actions is not None  # a store's clips have them
        generator = torch.Generator().manual_seed(seed)
        with autocast(self.place, self.dtype):
            return self.baseline.loss(clips.codes, clips.actions, clips.valid, generator)
