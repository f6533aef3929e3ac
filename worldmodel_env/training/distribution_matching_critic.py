"""Train the critic that knows the recordings, before the world learns from it.

Writes RUN/critic: a checkpoint, and metrics of its cross-entropy on training and held-out windows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from worldmodel_env.data.clips import sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.models.critic import CriticConfig, WindowCritic
from worldmodel_env.models.teco import Teco
from worldmodel_env.precision import autocast
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import Part
from worldmodel_env.training.distribution_matching import critic_loss, recorded_windows
from worldmodel_env.training.recipes import Rhythm, Schedule
from worldmodel_env.training.trainer import Findings, train

STAGE = "critic"
BATCH = 32
HELD_OUT = 64


def critic_of(config: CriticConfig, model: Teco) -> WindowCritic:
    """A fresh critic of a model's latent codes, where the model is."""
    assert model.cfg.actions is not None  # a built model has them
    critic = WindowCritic(config, model.cfg.actions, model.cfg.n_codes, model.cfg.grid)
    return critic.to(model.start.device)


def critic_optimizer(critic: WindowCritic, rate: float) -> torch.optim.AdamW:
    """AdamW that forgets directions at once: what it follows moves."""
    return torch.optim.AdamW(critic.parameters(), lr=rate, betas=(0.0, 0.999), weight_decay=0.01)


def train_critic(
    config: CriticConfig,
    model: Teco,
    codes: Mapping[str, CodeStore],
    *,
    out: Path,
    steps: int,
    rate: float,
    rhythm: Rhythm,
    seed: int,
    same: Mapping[str, Any],
    dtype: torch.dtype,
) -> WindowCritic:
    """Train a critic on recorded windows, or go on with the one in `out`.

    Args:
        config: its sizes.
        model: the world model whose latent codes it reads.
        codes: the recordings of both splits.
        out: the run's folder.
        steps: length of its training.
        rate: its learning rate.
        rhythm: how often to log, evaluate and save.
        seed: of weights, windows and masks.
        same: what must not change from resume to resume.
        dtype: of the matrix work.

    Returns:
        The critic, frozen.

    Raises:
        InputError: `out` has a critic of another configuration, data set or world.
        KeyboardInterrupt: interrupted; what was trained is saved.
    """
    torch.manual_seed(seed)
    critic = critic_of(config, model)
    stage = CriticStage(critic, config, model, codes, steps, rate, seed, same, dtype)
    found = train(stage, out / STAGE, Budget(steps=steps), rhythm)
    if not found.counters["finished"]:
        raise KeyboardInterrupt
    critic.load_state_dict(found.weights())
    return critic.eval().requires_grad_(False)


class CriticStage:
    """The critic's training step, for the loop in `training/trainer.py`."""

    name = STAGE

    def __init__(
        self,
        critic: WindowCritic,
        config: CriticConfig,
        model: Teco,
        codes: Mapping[str, CodeStore],
        steps: int,
        rate: float,
        seed: int,
        same: Mapping[str, Any],
        dtype: torch.dtype,
    ) -> None:
        """Prepare a critic for training on windows of `codes`."""
        self.critic, self.config, self.model, self.codes = critic, config, model, codes
        self.budget, self.rate, self.seed, self.dtype = Budget(steps=steps), rate, seed, dtype
        self.same = same
        self.place = model.start.device
        self.optimizer = critic_optimizer(critic, rate)
        self.parts: Mapping[str, Part] = {"model": critic, "optimizer": self.optimizer}
        self.frames = BATCH * config.frames

    def step(self, step: int, progress: float) -> dict[str, float]:
        """One optimizer step; see `trainer.Stage`."""
        rate = self.budget.rate(self.rate, Schedule(), step, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss("train", BATCH, self.seed, step)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.critic.parameters(), 1.0)
        self.optimizer.step()
        return {"loss": loss.item(), "grad_norm": norm.item(), "learning_rate": rate}

    @torch.no_grad()
    def evaluate(self, step: int) -> Findings:
        """Cross-entropy on held-out windows, the same every time; see `trainer.Stage`."""
        loss = self._loss("validation", HELD_OUT, 0, 0).item()
        return Findings({"validation_loss": loss}, f"critic: {loss:.3f} nats a hidden code")

    def _loss(self, split: str, batch: int, seed: int, step: int) -> torch.Tensor:
        frames = self.config.frames + 1
        clips = sample_clips(self.codes[split], frames, batch, seed, step).to(self.place)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        numbers = 1 + self.config.frames * self.model.cfg.grid**2
        uniform = torch.rand(batch, numbers, generator=generator).to(self.place)
        with autocast(self.place, self.dtype):
            windows = recorded_windows(self.model, clips)
            return critic_loss(self.critic, windows, uniform)
