"""The models of a benchmark: what trains them, and what predicts with what was trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.benchmark_predictor import BaselinePredictor
from worldmodel_env.evaluation.predictor import Predictor, WorldPredictor
from worldmodel_env.imagination.world import World, WorldConfig
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.baselines.codes import CodeSpace
from worldmodel_env.models.initialise import initialise_as_published
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.precision import resolve_dtype
from worldmodel_env.training.baseline import BaselineStage, make_baseline
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.distributed import ALONE
from worldmodel_env.training.held_out import HeldOut
from worldmodel_env.training.suites import BaselineEntry, TecoEntry
from worldmodel_env.training.teco import TecoStage


@dataclass(frozen=True)
class Ground:
    """What all models of a benchmark share.

    Attributes:
        dataset: the recordings.
        tokenizer: on the device where models will be.
        codes: of the training and the validation episodes.
        compute: device and precision.
    """

    dataset: TrajectoryDataset
    tokenizer: Vqgan
    codes: Mapping[str, CodeStore]
    compute: Compute

    @property
    def place(self) -> torch.device:
        """Where the models are."""
        return self.tokenizer.codebook.weight.device

    @property
    def space(self) -> CodeSpace:
        """What the models model."""
        cfg = self.tokenizer.cfg
        actions = ActionConfig.of(self.dataset.action_space)
        return CodeSpace(cfg.grid, cfg.n_codes, cfg.code_dim, actions)


def fitted(entry: TecoEntry | BaselineEntry, ground: Ground) -> TecoEntry | BaselineEntry:
    """The entry, made for the tokenizer's codes and the data's actions."""
    space = ground.space
    if isinstance(entry, BaselineEntry):
        return replace(entry, config=replace(entry.config, space=space))
    config = replace(
        entry.config, code_grid=space.grid, vq_codes=space.n_codes, vq_dim=space.dim,
        actions=space.actions,
    )  # fmt: skip
    return replace(entry, config=config)


def make_stage(
    entry: TecoEntry | BaselineEntry, ground: Ground, budget: Budget, seed: int, folder: Path
) -> TecoStage | BaselineStage:
    """A model of a fitted entry, about to be trained; TECO's strips go to `folder`."""
    vectors = ground.tokenizer.codebook.vectors()
    if isinstance(entry, BaselineEntry):
        return BaselineStage(
            entry.config, entry.training, ground.codes, vectors,
            budget=budget, seed=seed, compute=ground.compute,
        )  # fmt: skip
    torch.manual_seed(seed)
    model = Teco(entry.config)
    if entry.training.initial_weights == "published":
        initialise_as_published(model)
    model.code_vectors.copy_(vectors)
    dtype = resolve_dtype(ground.compute.precision, ground.place)
    held_out = HeldOut(
        ground.codes["validation"], ground.dataset, ground.tokenizer, entry.training, dtype
    )
    return TecoStage(
        model.to(ground.place), entry.training, ground.codes["train"], held_out,
        folder=folder, budget=budget, seed=seed, compute=ground.compute, team=ALONE,
    )  # fmt: skip


def make_predictor(
    name: str,
    entry: TecoEntry | BaselineEntry,
    ground: Ground,
    weights: Mapping[str, Tensor],
    batch: int,
) -> Predictor:
    """A trained model of a fitted entry, in float32, for `batch` rows a call."""
    if isinstance(entry, BaselineEntry):
        model = make_baseline(entry.config)
        model.load_state_dict(weights)
        model.to(ground.place).eval().requires_grad_(False)
        return BaselinePredictor(name, ground.tokenizer, model, batch)  # type: ignore[arg-type]
    tokenizer = {k: v.cpu() for k, v in ground.tokenizer.state_dict().items()}
    store = ground.codes["validation"]
    longest = max(ref.total_steps for ref in ground.dataset.episodes())
    world = World(
        name=name,
        config=WorldConfig(ground.tokenizer.cfg, entry.config, entry.sampling, longest),
        action_space=ground.dataset.action_space,
        weights={f"vqgan.{k}": v for k, v in tokenizer.items()}
        | {f"teco.{k}": v for k, v in weights.items()},
        starts=store.codes[store.starts[:-1]],
    )
    return WorldPredictor(
        world, "torch", batch=batch, device=str(ground.place), precision="fp32",
        threads=torch.get_num_threads(),
    )  # fmt: skip
