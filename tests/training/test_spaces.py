"""What actions do to the pose, measured by recorded poses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nano import MOTION

from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.training.spaces import _moves, measured_motion


def test_motion_is_that_of_the_simulator(tmp_path: Path) -> None:
    """With walls in the way of a random walker, and sliding along them."""
    pytest.importorskip("vizdoom")
    record("SimMaze-v0", tmp_path / "a", episodes=6, policy="random", env_kwargs={"size": 5})
    data = TrajectoryDataset.open(tmp_path / "a")
    assert measured_motion(data, ActionConfig.of(data.action_space)) == MOTION


def test_without_poses_or_choices_there_is_none(
    toy_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = TrajectoryDataset.open(toy_set)
    actions = ActionConfig.of(data.action_space)
    assert len(measured_motion(data, actions)) == data.action_space.n
    assert measured_motion(data, ActionConfig("box", low=(0.0,), high=(1.0,))) == ()
    read = data.read
    monkeypatch.setattr(data, "read", lambda ref: replace(read(ref), pose=None))
    assert measured_motion(data, actions) == ()


def test_a_way_is_counted_from_the_heading_after_the_turn() -> None:
    pose = np.array([[0.0, 0.0, 350.0], [0.0, 2.0, 90.0], [-3.0, 2.0, 0.0]])
    expected = [[100 / 360, 2, 0], [-0.25, -3, 0]]
    np.testing.assert_allclose(_moves(pose), expected, atol=1e-9)
