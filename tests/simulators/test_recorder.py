import errno
import json
import os
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import toy_env
from gymnasium import spaces

from simulators.mixture import Mixture
from simulators.recorder import record
from worldmodel_env.data import writer
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError


def run(out: Path, **changed):
    arguments = {
        "simulator": toy_env.ID, "out": out, "episodes": 6, "validation": 2, "test": 2,
        "policy": "random", "progress": False,
    }  # fmt: skip
    return record(**{**arguments, **changed})


def content(root: Path) -> dict[int, str]:
    return {ref.seed: ref.row.sha256 for ref in TrajectoryDataset.open(root).episodes()}


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("action", ["discrete", "box", "multi"])
def test_frames_actions_rewards_and_poses_are_those_of_the_simulator(tmp_path, action):
    """Replays the recorded actions from the recorded seed: T actions, T+1 frames, none shifted."""
    run(tmp_path, env_kwargs={"action": action})
    assert validate(tmp_path).ok
    dataset = TrajectoryDataset.open(tmp_path)
    ended = set()
    for ref in dataset.episodes():
        episode = dataset.read(ref)
        kwargs = json.loads(episode.attributes["env_kwargs"])
        assert kwargs == {"action": action, "split": ref.split}
        env = gymnasium.make(episode.attributes["simulator"], **kwargs)
        frame, info = env.reset(seed=ref.seed)
        np.testing.assert_array_equal(episode.observations[0], frame)
        np.testing.assert_array_equal(episode.pose[0], info["pose"])
        assert episode.attributes["layout"] == info["layout"]
        np.testing.assert_array_equal(episode.attributes["goal"], info["goal"])
        for step, taken in enumerate(episode.actions):
            frame, reward, terminated, truncated, info = env.step(taken)
            np.testing.assert_array_equal(episode.observations[step + 1], frame)
            np.testing.assert_array_equal(episode.pose[step + 1], info["pose"])
            assert episode.rewards[step] == np.float32(reward)
            assert episode.terminations[step] == terminated
            assert episode.truncations[step] == truncated
        assert terminated or truncated
        ended.add("terminated" if terminated else "truncated")
        assert episode.attributes["policy"] == "random"
        assert episode.attributes["task"] == "wall"
        assert episode.attributes["frame_skip"] == 1
        assert "gymnasium" in json.loads(episode.attributes["versions"])
    assert action != "discrete" or len(ended) == 2


def test_an_episode_does_not_depend_on_its_neighbours(tmp_path):
    run(tmp_path / "all")
    run(tmp_path / "one", episodes=1, validation=0, test=0, seed=4)
    assert content(tmp_path / "one")[4] == content(tmp_path / "all")[4]


def test_shards_and_workers_give_the_same_data_set(tmp_path):
    run(tmp_path / "whole")
    for part in range(3):
        run(tmp_path / "parts", shard=(part, 3))
    run(tmp_path / "workers", workers=2)
    assert content(tmp_path / "whole") == content(tmp_path / "parts")
    assert content(tmp_path / "whole") == content(tmp_path / "workers")
    assert validate(tmp_path / "workers").ok


def test_running_again_records_only_what_is_missing(tmp_path):
    summary = run(tmp_path)
    assert (summary.recorded, summary.skipped) == (10, 0)
    assert summary.frames == TrajectoryDataset.open(tmp_path).metadata["total_steps"] + 10
    assert summary.bytes == sum(p.stat().st_size for p in (tmp_path / "data/episodes").iterdir())
    before = content(tmp_path)
    (tmp_path / "data/episodes/train-000000002.hdf5").unlink()
    truncated = tmp_path / "data/episodes/validation-001000001.hdf5"
    truncated.write_bytes(truncated.read_bytes()[:1000])
    summary = run(tmp_path)
    assert (summary.recorded, summary.skipped) == (2, 8)
    assert "recorded 2 episodes" in str(summary)
    assert content(tmp_path) == before
    assert run(tmp_path).recorded == 0


def test_another_seed_appends_other_settings(tmp_path):
    run(tmp_path)
    before = content(tmp_path)
    summary = run(tmp_path, seed=100, env_kwargs={"task": "wander"}, max_steps=5)
    assert summary.recorded == 10
    after = content(tmp_path)
    assert sorted(set(after) - set(before))[:7] == [*range(100, 106), 1_000_100]
    assert {seed: after[seed] for seed in before} == before
    new = [ref for ref in TrajectoryDataset.open(tmp_path).episodes() if ref.seed % 1_000_000 > 99]
    assert {(ref.row.task, ref.total_steps) for ref in new} == {("wander", 5)}


@pytest.mark.parametrize(
    "changed",
    [
        {"policy": "random=0.5,sloppy=0.5", "episodes": 20},
        {"env_kwargs": {"task": "wander"}},
        {"max_steps": 7},
        {"simulator": toy_env.ENDLESS_ID, "max_steps": 40},
    ],
)
def test_the_same_seed_with_other_settings_is_refused(tmp_path, changed):
    run(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(InputError, match=r"use seed 6 or above, or another folder"):
        run(tmp_path, **changed)
    assert snapshot(tmp_path) == before


def test_other_spaces_are_refused_before_anything_is_recorded(tmp_path):
    run(tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(InputError, match="32 x 32"):
        run(tmp_path, seed=100, env_kwargs={"image_size": 48})
    with pytest.raises(InputError, match="MultiDiscrete"):
        run(tmp_path, seed=100, env_kwargs={"action": "multi"})
    assert snapshot(tmp_path) == before


def test_max_steps_truncates(tmp_path):
    with pytest.raises(InputError, match="no time limit"):
        run(tmp_path, simulator=toy_env.ENDLESS_ID)
    run(tmp_path, simulator=toy_env.ENDLESS_ID, env_kwargs={"task": "wander"}, max_steps=9)
    dataset = TrajectoryDataset.open(tmp_path)
    for ref in dataset.episodes():
        episode = dataset.read(ref)
        assert len(episode) == 9
        assert list(episode.truncations) == [False] * 8 + [True]
        assert not episode.terminations.any()


def test_mixtures_are_drawn_from_the_seed_by_their_weights():
    mixture = Mixture.parse("explore=7,sloppy=1.5, out-and-back=1.5")
    assert mixture.probabilities == (0.7, 0.15, 0.15)
    drawn = [mixture.draw(seed) for seed in range(2000)]
    assert drawn == [mixture.draw(seed) for seed in range(2000)]
    assert 0.65 < drawn.count("explore") / 2000 < 0.75
    assert 0.12 < drawn.count("out-and-back") / 2000 < 0.18
    assert Mixture.parse("goal").draw(3) == "goal"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"simulator": "SimMaz-v0"}, "did you mean SimMaze-v0"),
        ({"simulator": "nowhere_to_be_found:Sim-v0"}, "nowhere_to_be_found"),
        ({"simulator": "CartPole-v1"}, "only uint8 images"),
        ({"policy": "explorer"}, "explorer"),
        ({"policy": "random=x"}, "random=x"),
        ({"policy": "random=-1"}, "random=-1"),
        ({"policy": "random,random"}, "once"),
        ({"policy": ""}, "policy ''"),
        ({"env_kwargs": {"sise": 5}}, "no argument 'sise'"),
        ({"workers": -1}, "workers is -1"),
        ({"patience": 0}, "patience is 0"),
        ({"shard": (2, 2)}, "shard 2/2"),
        ({"episodes": -1}, "-1 train"),
        ({"episodes": 0, "validation": 0, "test": 0}, "1 or more in all"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 999_995}, "seed 999995"),
        ({"max_steps": 0}, "max_steps is 0"),
    ],
)
def test_bad_arguments_are_named_and_leave_no_data_set(tmp_path, changed, words):
    with pytest.raises(InputError, match=words):
        run(tmp_path / "out", **changed)
    assert not list(tmp_path.rglob("*.hdf5"))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make the folder"):
        run(tmp_path / "file")


def test_a_full_disk_is_named_and_whole_files_stay(tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def full_after_three(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(writer.os, "fsync", full_after_three)
    with pytest.raises(InputError, match=r"train-000000003\.hdf5 \(No space left"):
        run(tmp_path)
    names = sorted(path.name for path in (tmp_path / "data/episodes").iterdir())
    assert names == [f"train-{seed:09d}.hdf5" for seed in range(3)]
    monkeypatch.undo()
    assert run(tmp_path).recorded == 7
    assert validate(tmp_path).ok


def test_a_write_that_stops_in_the_middle_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(InputError, match=r"train-000000000\.hdf5 \(File too large"):
            run(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "data/episodes").iterdir()) == []


class Grey(gymnasium.Env):
    observation_space = spaces.Box(0, 255, (32, 32, 1), np.uint8)
    action_space = spaces.Discrete(2)


class Odd(gymnasium.Env):
    observation_space = spaces.Box(0, 255, (32, 32, 3), np.uint8)
    action_space = spaces.Dict({"a": spaces.Discrete(2)})


@pytest.mark.parametrize(("env", "words"), [(Grey, "uint8 images"), (Odd, "action space")])
def test_spaces_that_cannot_be_stored_are_refused(tmp_path, env, words):
    gymnasium.register("Unfit-v0", entry_point=env, max_episode_steps=5)
    try:
        with pytest.raises(InputError, match=words):
            run(tmp_path, simulator="Unfit-v0")
    finally:
        del gymnasium.registry["Unfit-v0"]


def test_a_simulator_without_pose_is_recorded_without(tmp_path):
    class NoPose(toy_env.ToyEnv):
        def _info(self):
            return {}

    gymnasium.register("NoPose-v0", entry_point=NoPose, max_episode_steps=5)
    try:
        run(tmp_path, simulator="NoPose-v0")
    finally:
        del gymnasium.registry["NoPose-v0"]
    dataset = TrajectoryDataset.open(tmp_path)
    assert dataset.read(dataset.episodes()[0]).pose is None
    assert validate(tmp_path).ok


def test_mazes_are_recorded_with_layout_and_goal_in_any_order(tmp_path):
    pytest.importorskip("vizdoom")
    maze = {"simulator": "SimMaze-v0", "episodes": 2, "validation": 1, "test": 0, "max_steps": 40}
    run(tmp_path / "a", **maze, policy="explore", env_kwargs={"size": 5})
    run(tmp_path / "a", **maze, policy="sloppy", env_kwargs={"size": 5, "task": "explore"}, seed=9)
    for part in (1, 0):
        run(tmp_path / "b", **maze, policy="explore", env_kwargs={"size": 5}, shard=(part, 2))
    assert validate(tmp_path / "a").ok
    both = content(tmp_path / "b")
    assert {seed: content(tmp_path / "a")[seed] for seed in both} == both
    dataset = TrajectoryDataset.open(tmp_path / "a")
    for ref in dataset.episodes():
        attributes = dataset.read(ref).attributes
        assert attributes["layout"].shape == (5, 5)
        assert ("goal" in attributes) == (ref.row.task == "goal")
        assert "vizdoom" in json.loads(attributes["versions"])
