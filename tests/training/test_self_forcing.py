"""`train selfforcing`: its switches, worlds, resumes, what it refuses, and what it is for."""

import json
import shutil
import signal
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import stages
import torch
from ball import ball_store
from nano import make_nano
from test_resume import assert_same

from worldmodel_env.cli import main
from worldmodel_env.data.clips import sample_clips
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.exposure import exposure_gap
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.world import World
from worldmodel_env.models.critic import CriticConfig
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import Teco
from worldmodel_env.presets import load_preset
from worldmodel_env.training import trainer
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.finish import save_world
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.self_forcing import STAGE, SelfForcingStage
from worldmodel_env.training.self_forcing_recipe import SelfForcing, afterwards

SMALL: dict[str, Any] = {
    "critic": CriticConfig(frames=3, dim=32, mlp_dim=64, heads=2, layers=1),
    "critic_steps": 2,
    "distilled_frames": 4,
    "agreement": 0.0,
}
ALL = SelfForcing(
    resampling=0.5, self_rollout=2, distribution_matching=0.1, distil=1, **SMALL
)  # fmt: skip


@pytest.fixture(scope="module")
def forced(toy_set: Path, nano_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with every switch on, undisturbed; not to be changed."""
    out = tmp_path_factory.mktemp("forced")
    stages.force(toy_set, out, nano_world, ALL)
    return out


def begun(forced: Path, out: Path) -> Path:
    """A run that has its tokenizer, its codes and its critic, and nothing of the stage itself."""
    for part in ("vqgan", "codes", "critic"):
        shutil.copytree(forced / part, out / part)
    return out


def changed(world: World, folder: Path) -> set[str]:
    """Parts of the model that a training has moved."""
    learned = Checkpoint.open(folder / STAGE).weights()
    ours = {k.removeprefix("teco."): v for k, v in world.weights.items() if k.startswith("teco.")}
    return {k.split(".")[0] for k, v in ours.items() if not torch.equal(learned[k], v)}


def test_every_switch_at_once_leaves_a_world_that_says_so(
    toy_set: Path, nano_world: Path, forced: Path
) -> None:
    old = World.load(nano_world)
    lines = [json.loads(x) for x in (forced / STAGE / "metrics.jsonl").read_text().splitlines()]
    assert {
        "recorded", "told", "kept", "agreement", "matching", "own_critic", "distillation",
    } <= set(lines[0])  # fmt: skip
    assert {"exposure_at_1", "psnr_at_1", "ce_prior"} <= set(lines[-1])
    # The critics read latent codes, which keep their meaning.
    assert not {"encoder", "codebook"} & changed(old, forced)
    assert {"prior", "temporal", "decoder", "skip"} <= changed(old, forced)
    path = save_world(forced, toy_set, name="more", preset="nano", stage=STAGE)
    new = World.load(path)
    assert new.provenance["begun_with"] == f"nano {old.digest[:12]}"
    assert new.provenance["self_forcing"]["self_rollout"] == 2
    assert new.config.teco == old.config.teco
    names = {name.split(".")[0] for name in Checkpoint.open(forced / STAGE).shapes}
    assert {"data_critic", "own_critic", "critic_optimizer", "model", "trained"} <= names


def test_interrupted_and_resumed_equals_undisturbed(
    toy_set: Path, nano_world: Path, forced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages.SignalAt, "step", 3)
    begun(forced, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "RunLog", stages.SignalAt)
        stages.force(toy_set, tmp_path, nano_world, ALL)
    assert Checkpoint.open(tmp_path / STAGE).counters["step"] == 3
    stages.force(toy_set, tmp_path, nano_world, ALL)
    assert_same(tmp_path / STAGE, forced / STAGE)


def test_no_world_learns_from_a_critic_that_was_interrupted(
    toy_set: Path, nano_world: Path, forced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages.SignalAt, "step", 1)
    shutil.copytree(forced / "codes", tmp_path / "codes")
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "RunLog", stages.SignalAt)
        with pytest.raises(KeyboardInterrupt):
            stages.force(toy_set, tmp_path, nano_world, ALL)
    assert Checkpoint.open(tmp_path / "critic").counters["step"] == 1
    assert Checkpoint.find(tmp_path / STAGE) is None
    stages.force(toy_set, tmp_path, nano_world, ALL, steps=1)
    assert_same(tmp_path / "critic", forced / "critic")


def test_killed_and_resumed_equals_undisturbed(
    toy_set: Path, nano_world: Path, forced: Path, tmp_path: Path
) -> None:
    """From the very beginning, the critic included."""
    options = {"signal_at": (4, signal.SIGKILL), "checkpoint_seconds": 0.0}
    arguments = {"world": nano_world, "recipe": ALL, **options}
    assert stages.in_processes(STAGE, toy_set, tmp_path, **arguments) == [-signal.SIGKILL]
    assert Checkpoint.open(tmp_path / STAGE).counters["step"] == 3
    stages.force(toy_set, tmp_path, nano_world, ALL)
    for stage in ("critic", STAGE):
        assert_same(tmp_path / stage, forced / stage)


def test_another_recipe_or_world_is_refused(
    toy_set: Path, nano_world: Path, forced: Path, tmp_path: Path
) -> None:
    shutil.copytree(forced, tmp_path, dirs_exist_ok=True)
    with pytest.raises(InputError, match=r"self_forcing\.distil is 1, now 0"):
        stages.force(toy_set, tmp_path, nano_world, replace(ALL, distil=0))
    other = make_nano(seed=1).save(tmp_path / "other")
    with pytest.raises(InputError, match="another tokenizer than world 'nano'"):
        stages.force(toy_set, tmp_path, other, ALL)


def test_the_command_distils_the_prior_alone(
    toy_set: Path, forced: Path, nano_world: Path, tmp_path: Path
) -> None:
    begun(forced, tmp_path)
    main(
        [
            "train", "selfforcing", "--begin-with", str(nano_world), "--data", str(toy_set),
            "--out", str(tmp_path), "--preset", "nano", "--steps", "2", "--distil", "1",
            "--sampling-share", "0.5", "--precision", "fp32", "--name", "quick", "--average", "0",
        ]
    )  # fmt: skip
    old, new = World.load(nano_world), World.load(tmp_path / "world")
    assert changed(old, tmp_path) == {"prior"}
    assert (old.config.sampling.steps, new.config.sampling.steps) == (2, 1)
    assert (old.config.sampling.share, new.config.sampling.share) == (1.0, 0.5)
    assert new.name == "quick"
    assert new.imagination().noise_shape[0] == 2  # a pass, and whether it is used


def with_sampling(**sampling: Any) -> World:
    world = make_nano()
    config = replace(world.config, sampling=replace(world.config.sampling, **sampling))
    return replace(world, config=config)


def with_teco(**fields: Any) -> World:
    world = make_nano()
    return replace(world, config=replace(world.config, teco=replace(world.config.teco, **fields)))


AUTOREGRESSIVE = replace(load_preset("nano").teco.prior, kind="autoregressive")
ABSOLUTE = replace(load_preset("nano").teco.temporal, positions="absolute")


@pytest.mark.parametrize(
    ("world", "recipe", "message"),
    [
        (with_teco(reencode=False), {"self_rollout": 2}, "does not read its frames again"),
        (with_teco(reencode=False), {"resampling": 0.5}, "does not read its frames again"),
        (make_nano(), {"self_rollout": 8}, "do not fit into clips of 9"),
        (make_nano(), {"self_rollout": 1, "distribution_matching": 1.0}, "roll-outs of 9 frames"),
        (with_sampling(steps=0), {"distil": 2}, "asks its prior nothing"),
        (with_sampling(steps=0), {"distribution_matching": 1, **SMALL}, "asks its prior nothing"),
        (with_teco(prior=AUTOREGRESSIVE), {"distil": 2}, "prior of kind 'autoregressive'"),
        (make_nano(), {"distil": 24}, "what it learns from takes 24"),
        (make_nano(), {"distil": 2, "teacher": "served"}, "what it learns from takes 2"),
        (with_teco(temporal=ABSOLUTE), {"self_rollout": 2}, "longer than the 6"),
    ],
)
def test_worlds_that_cannot_serve_are_refused(
    world: World, recipe: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        SelfForcing(**recipe).check(world, clip=9)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "nothing to do"),
        ({"self_rollout": -1}, "self_rollout is -1; give 0 or more"),
        ({"resampling": 1.5}, "resampling is 1.5; give a share from 0 to 1"),
        ({"self_rollout": 2, "anchor": 0.4}, "anchor is 0.4; give a share from 0.5 to 1"),
        ({"self_rollout": 2, "agreement": 2.0}, "agreement is 2.0"),
        ({"distribution_matching": -0.1}, "distribution_matching is -0.1"),
        ({"distribution_matching": float("nan")}, "distribution_matching is nan"),
        ({"distribution_matching": 1.0, "critic_steps": 0}, "critic_steps is 0; give 1 or more"),
    ],
)
def test_values_out_of_range_are_refused(recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SelfForcing(**recipe)


def test_the_recipe_after_a_training_is_slower_and_averaged() -> None:
    before = load_preset("maze").teco_training
    after = afterwards(before)
    assert after.learning_rate == before.learning_rate / 8
    assert after.average_decay == 0.99
    given = afterwards(before, clip=100, learning_rate=1e-3, average_decay=0.0)
    assert (given.clip, given.learning_rate, given.average_decay) == (100, 1e-3, 0.0)
    kept = {"clip", "learning_rate", "average_decay", "schedule"}
    assert all(asdict(after)[k] == v for k, v in asdict(before).items() if k not in kept)


def test_told_on_its_own_frames_a_model_drifts_less_than_on_recorded_ones() -> None:
    """The same start, clips and number of steps in a deterministic world."""
    world = make_nano(steps=0)
    codes, held_out = ball_store(24, 30), sample_clips(ball_store(24, 30, seed=1), 20, 24, 0, 0)
    plain = load_preset("nano").teco_training
    training = replace(
        plain, clip=10, batch_size=6, learning_rate=4e-3, loss=LossConfig(drop_loss=0.5)
    )

    def learn(model: Teco, recipe: SelfForcing, rate: float, steps: int) -> Teco:
        imagination = Imagination(world.imagination().vqgan, model, Sampling(steps=0))
        stage = SelfForcingStage(
            imagination, world, recipe, replace(training, learning_rate=rate), codes,
            None, critic=None, folder=Path(), budget=Budget(steps=steps), seed=0,
            same={}, dtype=torch.float32,
        )  # type: ignore[arg-type]  # fmt: skip
        for step in range(steps):
            stage.step(step, step / steps)
        return model

    def gap(model: Teco) -> float:
        imagination = Imagination(world.imagination().vqgan, model, Sampling(steps=0))
        own, recorded = exposure_gap(imagination, held_out, (12,), context=4)[12]
        return own - recorded

    told = SelfForcing(self_rollout=5, agreement=0.0)
    recorded = SelfForcing(self_rollout=1, anchor=1.0)  # learns nothing from what it imagines
    start = learn(world.imagination().teco.requires_grad_(True), recorded, 4e-3, 90)
    after = [gap(learn(deepcopy(start), recipe, 1e-3, 30)) for recipe in (recorded, told)]
    assert after[0] > 0.05
    assert after[1] < 0.85 * after[0]
