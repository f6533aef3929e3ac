"""Train a world on what it imagines: `worldmodel train selfforcing --begin-with WORLD ...`.

What follows `train teco`. Writes RUN/selfforcing (checkpoint, metrics, strips), RUN/critic if asked
for distribution matching, and with `training/finish.py` RUN/world. The loop around
`SelfForcingStage.step` is in `training/trainer.py`; the switches are in `self_forcing_recipe.py`.
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

from worldmodel_env.config import to_json
from worldmodel_env.data.clips import Clips, sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.exposure import exposure_gap
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.world import World
from worldmodel_env.models.critic import WindowCritic
from worldmodel_env.models.maskgit import Maskgit
from worldmodel_env.models.teco import Teco
from worldmodel_env.precision import Precision, autocast, resolve_device, resolve_dtype
from worldmodel_env.training.begin_with import identity, take_tokenizer, take_weights
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import Part
from worldmodel_env.training.distillation import distillation_loss
from worldmodel_env.training.distribution_matching import (
    critic_loss,
    imagined_windows,
    matching_loss,
)
from worldmodel_env.training.distribution_matching_critic import critic_optimizer, train_critic
from worldmodel_env.training.ema import Ema
from worldmodel_env.training.encode import encode_sets, load_tokenizer
from worldmodel_env.training.encoded import encode
from worldmodel_env.training.events import require_tensorboard
from worldmodel_env.training.held_out import HeldOut
from worldmodel_env.training.recipes import TecoTraining
from worldmodel_env.training.self_forcing_recipe import SelfForcing
from worldmodel_env.training.self_rollout import Lengths, SelfRollout, roll_out, told_losses
from worldmodel_env.training.spaces import check_frames, with_actions
from worldmodel_env.training.teco_loss import teco_losses, weighted
from worldmodel_env.training.trainer import Findings, train

STAGE = "selfforcing"
HORIZONS = (1, 4, 16)


def train_self_forcing(
    world: World,
    recipe: SelfForcing,
    training: TecoTraining,
    *,
    data: Path,
    out: Path,
    budget: Budget,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    skip_corrupt: bool = False,
) -> Path:
    """Train a world on what it imagines, or resume the training in `out`.

    Args:
        world: what to begin with.
        recipe: what to do.
        training: clips, rates and weights of the terms; see `self_forcing_recipe.afterwards`.
        data: a recorded data set with train and validation episodes.
        out: the run's folder.
        budget: when to stop; part of the schedule, so a resumed run should name the same.
        seed: of the order of the clips, the roll-outs' noise and lengths, and the critics.
        device: "auto", "cpu", "cuda", ...
        precision: of the matrix work.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: unusable data, a world that cannot serve the recipe, another run's checkpoint,
            or a loss that is not finite.
    """
    require_figures()
    require_tensorboard()
    recipe.check(world, training.clip)
    budget.rate(training.learning_rate, training.schedule, 0, 0.0)  # refuses what does not fit
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    config = world.config
    check_frames(config.vqgan, dataset)
    teco = with_actions(config.teco, dataset)
    place = resolve_device(device)
    dtype = resolve_dtype(precision, place)
    take_tokenizer(world, config.vqgan, out)
    tokenizer = load_tokenizer(out, config.vqgan).to(place)
    codes = encode_sets(tokenizer, dataset, out / "codes", dtype)
    model = Teco(teco)
    take_weights(world, model)
    same = {
        "seed": seed, "tokenizer": codes["train"].key["tokenizer"],
        "train_data": codes["train"].key["data"], "begun_with": identity(world),
    }  # fmt: skip
    critic = None
    if recipe.distribution_matching:
        critic = train_critic(
            recipe.critic, model.to(place), codes, out=out,
            steps=recipe.critic_steps, rate=recipe.critic_rate, rhythm=training, seed=seed,
            same=same, dtype=dtype,
        )  # fmt: skip
    stage = SelfForcingStage(
        Imagination(tokenizer, model, recipe.sampling(world)).to(place), world, recipe, training,
        codes["train"], HeldOut(codes["validation"], dataset, tokenizer, training, dtype),
        critic=critic, folder=out / STAGE, budget=budget, seed=seed, same=same, dtype=dtype,
    )  # fmt: skip
    return train(stage, out / STAGE, budget, training).path


class SelfForcingStage:
    """The training step, for the loop in `training/trainer.py`."""

    name = STAGE

    def __init__(
        self,
        imagination: Imagination,
        world: World,
        recipe: SelfForcing,
        training: TecoTraining,
        codes: CodeStore,
        held_out: HeldOut,
        *,
        critic: WindowCritic | None,
        folder: Path,
        budget: Budget,
        seed: int,
        same: Mapping[str, Any],
        dtype: torch.dtype,
    ) -> None:
        """Prepare a model, on its device, with the weights of `world`.

        `critic` knows the recordings; None without distribution matching.
        """
        self.imagination, self.recipe, self.training = imagination, recipe, training
        self.codes, self.held_out, self.folder = codes, held_out, folder
        self.budget, self.seed, self.dtype = budget, seed, dtype
        self.model = model = imagination.teco
        self.place = model.start.device
        self.few, self.many = recipe.sampling(world), recipe.teaching(world)
        self.teacher = deepcopy(model.prior).requires_grad_(False) if recipe.distil else None
        self.shown = deepcopy(model).requires_grad_(False)
        if not recipe.teacher_forced:
            model.requires_grad_(False)
            model.prior.requires_grad_(True)
        if critic is not None:
            # The critics read latent codes, which must go on meaning what they mean.
            model.encoder.requires_grad_(False)
            model.codebook.requires_grad_(False)
        self.learning = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.learning,
            betas=(0.0, 0.999) if critic is not None else (0.9, 0.95),
            weight_decay=training.weight_decay,
        )
        self.average = Ema(model, training.average_decay) if training.average_decay else None

        self.config = model.cfg
        self.frames = training.batch_size * training.clip
        self.same: Mapping[str, Any] = {**same, "self_forcing": to_json(recipe)}
        self.parts: Mapping[str, Part] = {"model": model, "optimizer": self.optimizer}
        if self.average is not None:
            self.parts = {**self.parts, "model": self.average, "trained": model}
        self.critic, self.own_critic = critic, deepcopy(critic)
        if self.own_critic is not None and critic is not None:
            self.own_critic.requires_grad_(True)
            self.critic_optimizer = critic_optimizer(self.own_critic, recipe.critic_rate)
            self.parts = {
                **self.parts, "data_critic": critic, "own_critic": self.own_critic,
                "critic_optimizer": self.critic_optimizer,
            }  # fmt: skip

    def step(self, step: int, progress: float) -> dict[str, float]:
        """One optimizer step; see `trainer.Stage`."""
        training, recipe = self.training, self.recipe
        rate = self.budget.rate(training.learning_rate, training.schedule, step, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        drawn = (self.codes, training.clip, training.batch_size, self.seed, step)
        clips = sample_clips(*drawn, training.ends).to(self.place)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.place, self.dtype):
            terms = self._recorded(clips, progress, generator)
            rollout = self._roll_out(clips, step)
            if rollout is not None:
                terms |= self._imagined(rollout, generator)
            if self.teacher is not None:
                terms["distillation"] = self._distilled(clips, rollout, generator)
        weights = {
            "recorded": recipe.anchor if recipe.self_rollout else 1.0,
            "told": 1.0 - recipe.anchor,
            "matching": recipe.distribution_matching,
            "distillation": 1.0,
        }
        loss = torch.stack([w * terms[name] for name, w in weights.items() if name in terms]).sum()
        loss.backward()
        limit = math.inf if training.clip_norm is None else training.clip_norm
        norm = nn.utils.clip_grad_norm_(self.learning, limit)
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.model, step)
        metrics = {name: term.item() for name, term in {"loss": loss, **terms}.items()}
        return {**metrics, "grad_norm": norm.item(), "learning_rate": rate}

    def _recorded(
        self, clips: Clips, progress: float, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The anchor: what `train teco` learns, on clips with ever more predictions in them."""
        if not self.recipe.teacher_forced:
            return {}
        share = self.recipe.resampling * min(1.0, 2 * progress)
        config = replace(self.training.loss, self_resampling=share)
        losses, _ = teco_losses(self.model, clips, config, generator)
        return {"recorded": losses.pop("loss"), **losses}

    def _roll_out(self, clips: Clips, step: int) -> SelfRollout | None:
        recipe = self.recipe
        if not recipe.imagined:
            return None
        rng = np.random.default_rng([self.seed, step, 1])
        window = recipe.imagined - recipe.self_rollout
        lengths = Lengths.draw(rng, clips.codes.shape[1], recipe.self_rollout, window)
        keys = torch.from_numpy(rng.integers(2**62, size=len(clips.codes))).to(self.place)
        return roll_out(self.imagination, clips, lengths, keys)

    def _imagined(self, rollout: SelfRollout, generator: torch.Generator) -> dict[str, Tensor]:
        """What follows imagined frames, and how likely they are."""
        terms: dict[str, Tensor] = {}
        if self.recipe.self_rollout:
            config, agreement = self.training.loss, self.recipe.agreement
            told = told_losses(self.model, rollout, config, agreement, generator)
            terms["kept"] = told.pop("kept")
            terms |= {"told": weighted(told, config)} | {f"told_{k}": v for k, v in told.items()}
            terms["agreement"] = rollout.agreement(self.model).mean()
        if self.critic is not None and self.own_critic is not None:
            terms["own_critic"] = self._follow(self.own_critic, rollout, generator)
            terms["matching"] = matching_loss(
                self.model, rollout, self.critic, self.own_critic, self._masks(rollout, generator)
            )
        return terms

    def _follow(
        self, critic: WindowCritic, rollout: SelfRollout, generator: torch.Generator
    ) -> Tensor:
        """Let a critic catch up with what the model imagines now; its last loss."""
        windows, loss = imagined_windows(rollout), torch.zeros((), device=self.place)
        for _ in range(self.recipe.critic_updates):
            self.critic_optimizer.zero_grad(set_to_none=True)
            loss = critic_loss(critic, windows, self._masks(rollout, generator))
            loss.backward()
            nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
            self.critic_optimizer.step()
        return loss.detach()

    def _masks(self, rollout: SelfRollout, generator: torch.Generator) -> Tensor:
        b, codes = len(rollout.h), rollout.lengths.window * self.model.cfg.grid**2
        return torch.rand((b, 1 + codes), generator=generator).to(self.place)

    def _distilled(
        self, clips: Clips, rollout: SelfRollout | None, generator: torch.Generator
    ) -> Tensor:
        """On frames that follow the model's own roll-outs, or recorded ones if there are none."""
        model, student, teacher = self.model, self.model.prior, self.teacher
        assert isinstance(student, Maskgit)  # says the recipe's check
        assert isinstance(teacher, Maskgit)
        with torch.no_grad():
            if rollout is not None:
                h, _ = rollout.local(model, 0, rollout.lengths.predicted)
            else:
                encoded = encode(model, clips)
                index = encoded.valid.nonzero()[:, 0]
                h, _ = model.predict(encoded.h[index], *encoded.local(index))
        chosen = torch.randperm(len(h), generator=generator)[: self.recipe.distilled_frames]
        h = h[chosen.to(self.place)]
        return distillation_loss(student, teacher, h, self.few, self.many, generator)

    def evaluate(self, step: int) -> Findings:
        """Look at held-out clips with the weights that will be used; see `trainer.Stage`."""
        self.shown.load_state_dict(self.parts["model"].state_dict())
        found = self.held_out.evaluate(self.shown, step, self.folder)
        shown = Imagination(self.imagination.vqgan, self.shown, self.few)
        clips = self.held_out.rollouts
        with autocast(self.place, self.dtype):
            gap = exposure_gap(shown, clips, HORIZONS, context=self.held_out.context, key=0)
        metrics = {f"exposure_at_{k}": own - true for k, (own, true) in gap.items()}
        worse = (f"{metrics[f'exposure_at_{k}']:.3f} after {k} imagined frames" for k in gap)
        text = f"{found.text}; nats a code worse: {', '.join(worse)}"
        return Findings({**found.metrics, **metrics}, text, found.pictures)
