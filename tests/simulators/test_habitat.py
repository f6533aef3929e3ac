"""On the real simulator where it can be imported, else on a stand-in with its API.

For the real one, WORLDMODEL_HABITAT_SCENE names a scene.
"""

import importlib.util
import os
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import simulators  # noqa: F401
from simulators import explorers
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

STANDINS = Path(__file__).parent / "standins"
REAL = importlib.util.find_spec("habitat_sim") is not None


@pytest.fixture
def scene(monkeypatch, tmp_path):
    if REAL:
        path = os.environ.get("WORLDMODEL_HABITAT_SCENE", "")
        if not path:
            pytest.skip("WORLDMODEL_HABITAT_SCENE names no scene")
        yield path
        return
    monkeypatch.syspath_prepend(str(STANDINS))
    path = tmp_path / "room.glb"
    path.write_bytes(b"glTF")
    yield str(path)
    for name in [name for name in sys.modules if name.startswith("habitat_sim")]:
        del sys.modules[name]


def make(scene, **kwargs):
    return gymnasium.make("SimHabitat-v0", disable_env_checker=True, scene=scene, **kwargs)


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_finds_nothing_wrong(scene):
    check_env(make(scene, size=32).unwrapped)


def test_poses_follow_the_projects_conventions(scene):
    env = make(scene)
    ahead = []
    for seed in range(5):
        frame, info = env.reset(seed=seed)
        assert (frame.dtype, frame.shape) == (np.uint8, (128, 128, 3))
        _, reward, terminated, _, turned = env.step(1)
        assert (reward, terminated) == (0.0, False)
        change = (turned["pose"][2] - info["pose"][2] + 180) % 360 - 180
        assert change == pytest.approx(10, abs=0.1)
        *_, moved = env.step(0)
        east, north = moved["pose"][:2] - turned["pose"][:2]
        if np.hypot(east, north) > 0.2:
            bearing = np.degrees(np.arctan2(north, east))
            ahead.append(abs((bearing - turned["pose"][2] + 180) % 360 - 180))
    assert np.median(ahead) < 2
    env.close()


def test_an_episode_depends_on_its_seed_alone(scene):
    def play(env, seed):
        policy = explorers.make("teco-habitat")
        frame, info = env.reset(seed=seed)
        policy.reset(env, seed)
        frames, actions = [frame], []
        for _ in range(60):
            actions.append(policy.act(env, frame, info))
            frame, *_, info = env.step(actions[-1])
            frames.append(frame)
        return np.stack(frames), actions

    env = make(scene, size=32)
    first = play(env, 1)
    other = play(env, 2)
    again = play(env, 1)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1] != other[1]
    env.close()


def test_the_policy_walks_far_and_comes_back(scene):
    env = make(scene, size=32)
    frame, info = env.reset(seed=3)
    policy = explorers.make("teco-habitat")
    policy.reset(env, 3)
    goals, places = [], []
    for _ in range(1500):
        frame, *_, info = env.step(policy.act(env, frame, info))
        places.append(info["pose"][:2])
        if not goals or not np.array_equal(goals[-1], policy._goal):
            goals.append(policy._goal)
    different = {tuple(goal) for goal in goals}
    assert len(different) <= 8  # the start, and seven that were found
    assert len(goals) > len(different)  # some again
    assert np.ptp(places, axis=0).max() > 4
    env.close()


@pytest.mark.skipif(REAL, reason="the simulator is here")
def test_a_missing_simulator_is_named(tmp_path):
    path = tmp_path / "room.glb"
    path.touch()
    with pytest.raises(InputError, match=r"needs the module habitat_sim.*conda"):
        make(str(path))


def test_bad_arguments_are_named(scene, tmp_path):
    with pytest.raises(InputError, match=r"no scene at 'nowhere\.glb'"):
        make("nowhere.glb")
    with pytest.raises(InputError, match="size=1"):
        make(scene, size=1)
    env = make(scene)
    with pytest.raises(InputError, match="call reset"):
        env.unwrapped.step(0)
    env.reset(seed=0)
    with pytest.raises(InputError, match=r"got the action 3; give 0 \(forward\)"):
        env.step(3)
    env.close()
    env.close()
    if not REAL:
        floorless = tmp_path / "floorless.glb"
        floorless.touch()
        with pytest.raises(InputError, match="no floor to walk on"):
            make(str(floorless))


def test_it_is_recorded_and_validates(scene, tmp_path):
    record("SimHabitat-v0", tmp_path / "out", episodes=2, policy="teco-habitat", workers=1,
           max_steps=30, env_kwargs={"scene": scene, "size": 32}, progress=False)  # fmt: skip
    assert validate(tmp_path / "out").ok
    dataset = TrajectoryDataset.open(tmp_path / "out")
    assert all(dataset.read(ref).pose is not None for ref in dataset.episodes())
