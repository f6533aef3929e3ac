"""Training worlds that recall frames by place."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stages
import torch
from test_resume import assert_same

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.finish import save_world
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.self_forcing_recipe import SelfForcing

RECALL = 12


@pytest.mark.parametrize("recipe", [{}, {"carry": 3, "clip": 9}], ids=["clips", "carried"])
def test_killed_and_resumed_equals_undisturbed(
    recipe: dict[str, Any], toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    """Carried memories, longer than a clip, are in the checkpoint."""
    whole, parts = (stages.prepare("teco", tokenizer_run, tmp_path / n) for n in ("a", "b"))
    stages.train("teco", toy_set, whole, recall=RECALL, **recipe)
    options = {"signal_at": (5, signal.SIGKILL), "checkpoint_seconds": 0.0, **recipe}
    died = stages.in_processes("teco", toy_set, parts, recall=RECALL, **options)
    assert died == [-signal.SIGKILL]
    stages.train("teco", toy_set, parts, recall=RECALL, **recipe)
    assert_same(parts / "teco", whole / "teco")
    assert Checkpoint.open(whole / "teco").weights()["skip.recalled.weight"].any()


def test_a_world_keeps_its_motion_and_is_trained_on(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    """The motion is measured; later trainings take the world's, and so does self-forcing."""
    stages.prepare("teco", tokenizer_run, tmp_path / "first")
    stages.train("teco", toy_set, tmp_path / "first", steps=2, recall=RECALL)
    folder = save_world(tmp_path / "first", toy_set, name="a", preset="nano")
    world = World.load(folder)
    motion = world.config.teco.motion
    assert motion is not None
    assert len(motion) == world.action_space.n
    other = replace(world, config=replace(
        world.config, teco=replace(world.config.teco, motion=motion[::-1])
    ))  # fmt: skip
    stages.train("teco", toy_set, tmp_path / "second", steps=1, recall=RECALL, begin_with=other)
    second = World.load(save_world(tmp_path / "second", toy_set, name="b", preset="nano"))
    assert second.config.teco.motion == motion[::-1]
    recipe = SelfForcing(self_rollout=2)
    forced = stages.force(toy_set, tmp_path / "forced", folder, recipe, steps=1, clip=9)
    learned = Checkpoint.open(forced.parent).weights()
    assert not torch.equal(learned["recall.weight"], world.weights["teco.recall.weight"])


def test_poses_of_other_frames_are_refused(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    with pytest.raises(InputError, match=r"recall is 12 and actions_ahead 1, .* use one of"):
        stages.train(
            "teco", toy_set, tmp_path, steps=1, recall=RECALL, loss=LossConfig(actions_ahead=1)
        )
