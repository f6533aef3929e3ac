"""What every simulator promises, on each engine that is installed here."""

import hashlib
import math

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from required import make

from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

ENGINES = {
    "doom": ("SimDoom-v0", {"scenario": "my_way_home"}),
    "doom-native": ("SimDoom-v0", {"scenario": "deathmatch", "actions": "native", "size": 48}),
    "miniworld": ("SimMiniWorld-v0", {"num_rows": 4, "num_cols": 4}),
    "miniworld-objects": ("SimMiniWorld-v0", {"level": "PickupObjects"}),
    "memory-maze": ("SimMemoryMaze-v0", {}),
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    simulator, kwargs = ENGINES[request.param]
    return make(simulator, **kwargs)


def walk(env: gymnasium.Env, seed: int, steps: int = 25) -> str:
    """Hash of all that an episode of random actions shows."""
    frame, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    digest = hashlib.sha256(frame.tobytes() + info["pose"].tobytes())
    for _ in range(steps):
        frame, reward, terminated, truncated, info = env.step(env.action_space.sample())
        digest.update(frame.tobytes() + info["pose"].tobytes() + np.float64(reward).tobytes())
        if terminated or truncated:
            break
    return digest.hexdigest()


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_finds_nothing_wrong(engine):
    # Drawing is tried in another environment for each mode, which costs Memory Maze seconds.
    check_env(engine.unwrapped, skip_render_check=engine.spec.id == "SimMemoryMaze-v0")


def test_frames_and_poses_are_what_is_promised(engine):
    frame, info = engine.reset(seed=3)
    assert frame.shape == engine.observation_space.shape
    assert frame.std() > 3
    assert (info["pose"].dtype, info["pose"].shape) == (np.float32, (3,))
    engine.action_space.seed(0)
    before = frame.copy()
    for _ in range(4):
        after, _, _, _, info = engine.step(engine.action_space.sample())
        assert 0 <= info["pose"][2] < 360
    assert not np.array_equal(before, after)
    np.testing.assert_array_equal(before, frame)  # no buffer that is used again


def test_an_episode_depends_on_its_seed_alone(engine):
    """Played again after another one, and first thing in a new environment."""
    first = walk(engine, 5)
    other = walk(engine, 6)
    assert walk(engine, 5) == first != other
    fresh = gymnasium.make(engine.spec, disable_env_checker=True)
    assert walk(fresh, 5) == first
    fresh.close()


def test_bad_actions_are_named_and_change_nothing(engine):
    engine.reset(seed=0)
    with pytest.raises(InputError, match="got the action"):
        engine.unwrapped.step(99)
    engine.step(engine.action_space.sample())


def test_a_step_needs_an_episode(engine):
    fresh = gymnasium.make(engine.spec, disable_env_checker=True).unwrapped
    with pytest.raises(InputError, match="call reset"):
        fresh.step(fresh.action_space.sample())
    fresh.close()
    fresh.close()


@pytest.mark.parametrize(
    ("simulator", "kwargs", "left", "forward"),
    [
        ("SimDoom-v0", {"scenario": "my_way_home"}, "turn left", "move forward"),
        ("SimMiniWorld-v0", {"level": "OneRoom"}, "turn left", "forward"),
        ("SimMemoryMaze-v0", {}, "left", "forward"),
    ],
)
def test_the_pose_turns_to_the_left_and_moves_where_it_looks(simulator, kwargs, left, forward):
    env = make(simulator, **kwargs)
    meanings = env.unwrapped.action_meanings
    turned, ahead = [], []
    for seed in range(1 if simulator == "SimMemoryMaze-v0" else 3):
        _, info = env.reset(seed=seed)
        for action, times in ((left, 3), (forward, 5)):
            for _ in range(times):
                before = info["pose"]
                _, _, _, _, info = env.step(meanings.index(action))
                east, north = info["pose"][:2] - before[:2]
                if action == left:
                    turned.append((info["pose"][2] - before[2] + 180) % 360 - 180)
                elif math.hypot(east, north) > 0.02:
                    bearing = math.degrees(math.atan2(north, east))
                    ahead.append(abs((bearing - info["pose"][2] + 180) % 360 - 180))
    assert np.median(turned) > 3
    assert np.median(ahead) < 20


@pytest.mark.parametrize("name", ENGINES)
def test_it_is_recorded_and_validates(tmp_path, name):
    simulator, kwargs = ENGINES[name]
    make(simulator, **kwargs)
    wanted = {"episodes": 1, "validation": 1, "policy": "random", "max_steps": 12}
    record(simulator, tmp_path, **wanted, workers=1, env_kwargs=kwargs, progress=False)
    assert validate(tmp_path).ok
    dataset = TrajectoryDataset.open(tmp_path)
    for ref in dataset.episodes():
        episode = dataset.read(ref)
        assert episode.pose is not None
        package = {"SimDoom-v0": "vizdoom", "SimMiniWorld-v0": "miniworld"}.get(simulator, "mujoco")
        assert package in episode.attributes["versions"]
        assert episode.attributes["frame_skip"] == (4 if simulator == "SimDoom-v0" else 1)


def test_memory_mazes_show_where_the_walls_are():
    env = make("SimMemoryMaze-v0")
    _, info = env.reset(seed=1)
    assert info["layout"].shape == (9, 9)
    for x, y in (info["pose"][:2], info["target"]):
        row, column = 8 - int(y), int(x)
        assert info["layout"][row, column] == 0


def test_a_touched_ball_pays_and_another_one_is_asked_for():
    """Puts the ball before the agent, which checks the quicker test for contacts too."""
    env = make("SimMemoryMaze-v0")
    _, info = env.reset(seed=0)
    task = env.unwrapped._task
    physics, inner = task.physics, task.task
    before = info["target"]
    ball = inner._targets[inner._current_target_ix]
    place = physics.bind(inner._walker.root_body).xpos[:2]
    reward = 0.0
    for _ in range(6):
        physics.bind(ball.geom).pos[:2] += place - physics.bind(ball.geom).xpos[:2]
        _, reward, _, _, info = env.step(0)
        if reward:
            break
    assert reward == 1
    assert not np.array_equal(info["target"], before)


def test_an_ending_scenario_keeps_its_last_frame():
    env = make("SimDoom-v0", scenario="basic")
    env.reset(seed=0)
    attack = env.unwrapped.action_meanings.index("attack")
    ended = False
    for seed in range(20):
        env.reset(seed=seed)
        for _ in range(20):
            frame, _, ended, _, _ = env.step(attack)
            if ended:
                break
        if ended:
            break
    assert ended
    assert frame.std() > 3


@pytest.mark.parametrize(
    ("simulator", "kwargs", "words"),
    [
        ("SimDoom-v0", {"scenario": "nowhere"}, "no scenario 'nowhere'.*my_way_home"),
        ("SimDoom-v0", {"scenario": "nowhere.cfg"}, "nowhere.cfg"),
        ("SimDoom-v0", {"actions": "all"}, "actions='all'; choose one of 'discrete', 'native'"),
        ("SimDoom-v0", {"frame_skip": 0}, "frame_skip=0"),
        ("SimDoom-v0", {"size": 4}, "size=4; give 8 to 1024"),
        ("SimMiniWorld-v0", {"level": "Labyrinth"}, "no level 'Labyrinth': use one of .*Maze"),
        ("SimMiniWorld-v0", {"num_floors": 2}, "num_floors"),
        ("SimMemoryMaze-v0", {"cells": 10}, "cells=10; choose one of 9, 11, 13, 15"),
        ("SimMemoryMaze-v0", {"size": 4}, "size=4; give 8 to 1024"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_bad_arguments_are_named(simulator, kwargs, words):
    make(simulator)
    with pytest.raises(InputError, match=words):
        gymnasium.make(simulator, **kwargs)
