import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import simulators  # noqa: F401
from simulators.maze.motion import FORWARD, HEADINGS, LEFT, Pose
from worldmodel_env.errors import InputError

pytest.importorskip("vizdoom")


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("SimMaze-v0", render_mode="rgb_array")
    yield env
    env.close()


@pytest.fixture(scope="module")
def small():
    env = gymnasium.make("SimMaze-v0", size=5, task="explore", split="test")
    yield env
    env.close()


def walk(env, seed, steps=60):
    """A hash of all that an episode of random steps returns."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    digest = hashlib.sha256(observation.tobytes() + info["pose"].tobytes())
    for action in rng.choice(3, steps, p=(0.2, 0.2, 0.6)):
        observation, reward, terminated, _, info = env.step(int(action))
        digest.update(observation.tobytes() + info["pose"].tobytes() + bytes([int(reward)]))
        if terminated:
            break
    return digest.hexdigest()


@pytest.mark.parametrize(
    "kwargs", [{}, {"size": 5, "task": "explore", "split": "test", "render_mode": "rgb_array"}]
)
def test_gymnasiums_checker_is_content(kwargs):
    env = gymnasium.make("SimMaze-v0", **kwargs)
    check_env(env.unwrapped)
    env.close()


def test_an_episode_depends_on_its_seed_alone(env):
    forwards = {seed: walk(env, seed) for seed in range(8)}
    backwards = {seed: walk(env, seed) for seed in reversed(range(8))}
    assert forwards == backwards
    assert len(set(forwards.values())) == 8


def test_a_fresh_process_gives_the_same_bytes(env):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import gymnasium, simulators, test_maze_env as t\n"
        "env = gymnasium.make('SimMaze-v0')\n"
        "print(*(t.walk(env, seed) for seed in (9, 3, 5)))"
    )
    fresh = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert fresh.stdout.split() == [walk(env, seed) for seed in (9, 3, 5)]


def test_the_engine_stands_where_the_pose_says(env):
    rng = np.random.default_rng(0)
    engine = None
    for seed in range(20):
        _, info = env.reset(seed=seed)
        engine = env.unwrapped._engine
        for action in rng.choice(3, 20, p=(0.2, 0.2, 0.6)):
            measured = engine.variables("POSITION_X", "POSITION_Y", "ANGLE", "CAMERA_POSITION_Z")
            assert measured == pytest.approx([*info["pose"], 41], abs=1e-4)
            _, _, terminated, _, info = env.step(int(action))
            if terminated:
                break


def test_a_full_turn_and_a_retraced_way_show_the_same_frame(small):
    first, _ = small.reset(seed=3)
    views = [small.step(LEFT)[0] for _ in range(HEADINGS)]
    assert (views[-1] == first).all()
    assert len({view.tobytes() for view in views}) == HEADINGS


def test_frames_are_bright_coloured_and_without_a_weapon_or_bars(env):
    frames = np.stack([env.reset(seed=seed)[0] for seed in range(60)])
    assert frames.mean() > 70
    assert (frames.max(-1).astype(int) - frames.min(-1)).mean() > 50
    # Whatever is drawn over the view would be there in every frame.
    assert (frames.std(0).max(-1) > 5).all()


def test_each_quadrant_has_its_hue(env):
    dominant = {}
    for seed in range(40):
        frame, _ = env.reset(seed=seed)
        unwrapped = env.unwrapped
        cell = unwrapped.maze.cell_at(unwrapped.pose.x, unwrapped.pose.y)
        floor = frame[-4:].mean((0, 1))
        dominant.setdefault((cell[0] > 4, cell[1] > 4), []).append(floor / floor.max())
    north_west, north_east, south_west, south_east = (
        np.median(dominant[quadrant], 0)
        for quadrant in ((False, False), (False, True), (True, False), (True, True))
    )
    assert north_west.argmax() == 0
    assert north_west[1] < 0.6
    assert north_east.argmax() == 2
    assert south_west.argmax() == 1
    assert south_east.argmax() == 0
    assert south_east[1] > 0.6


def test_the_goal_is_seen_reached_and_rewarded(env):
    for seed in range(6):
        _, info = env.reset(seed=seed)
        maze, goal = env.unwrapped.maze, env.unwrapped.goal
        assert tuple(info["goal"]) == goal
        assert maze.walls[goal] == 0
        assert (info["layout"] == maze.walls).all()
        near = maze.neighbours(goal)[0]
        (x, y), (near_x, near_y) = maze.centre(goal), maze.centre(near)
        heading = int(np.arctan2(y - near_y, x - near_x) / np.pi * 8) % HEADINGS
        env.unwrapped._episode = (maze, Pose(near_x, near_y, heading), goal)
        rewards, terminated = [], False
        while not terminated:
            frame, reward, terminated, _, _ = env.step(FORWARD)
            rewards.append(reward)
            red, green, blue = frame[28:36, 28:36].astype(int).mean((0, 1))
            assert red > green + 15 < blue
        assert rewards == [0, 0, 1]


def test_the_goal_is_far(env):
    for seed in range(20):
        env.reset(seed=seed)
        maze, pose, goal = env.unwrapped.maze, env.unwrapped.pose, env.unwrapped.goal
        distance = maze.distances(maze.cell_at(pose.x, pose.y))
        assert distance[goal] >= max(distance.values()) / 2


def test_exploring_has_no_goal_no_reward_and_no_end(small):
    _, info = small.reset(seed=0)
    assert "goal" not in info
    assert small.unwrapped.goal is None
    rng = np.random.default_rng(0)
    steps = [small.step(int(rng.integers(3))) for _ in range(300)]
    assert not any(reward or terminated for _, reward, terminated, _, _ in steps)
    assert [truncated for *_, truncated, _ in steps] == [False] * 299 + [True]


def test_rendering_is_larger_than_observing(env):
    env.reset(seed=0)
    assert env.render().shape == (192, 192, 3)


@pytest.mark.parametrize(
    "kwargs", [{"size": 8}, {"task": "run"}, {"split": "all"}, {"render_mode": "ascii"}]
)
def test_bad_arguments_are_refused(kwargs):
    (value,) = kwargs.values()
    from simulators.maze.env import MazeEnv

    with pytest.raises(InputError, match=f"{value!r}; choose one of"):
        MazeEnv(**kwargs)


@pytest.mark.parametrize("action", [3, -1, 1.5, "forward", None])
def test_bad_actions_are_refused_and_change_nothing(small, action):
    small.reset(seed=0)
    pose = small.unwrapped.pose
    with pytest.raises(InputError, match="turn left"):
        small.unwrapped.step(action)
    assert small.unwrapped.pose == pose


def test_a_step_before_reset_and_after_close_is_refused():
    env = gymnasium.make("SimMaze-v0").unwrapped
    with pytest.raises(InputError, match="reset"):
        env.step(0)
    env.close()
    env.close()
    with pytest.raises(InputError, match="reset"):
        env.step(0)


def test_nothing_is_left_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    env = gymnasium.make("SimMaze-v0", size=5)
    env.reset(seed=0)
    env.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the engine's process in /proc")
def test_a_dead_engine_is_reported():
    env = gymnasium.make("SimMaze-v0", size=5)
    env.reset(seed=0)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        name, rest = stat.read_text().split(" ", 1)[1].rsplit(")", 1)
        if name == "(vizdoom" and int(rest.split()[1]) == os.getpid():
            os.kill(int(stat.parent.name), signal.SIGKILL)
    time.sleep(0.2)
    with pytest.raises(RuntimeError, match="make a new environment"):
        env.step(0)
    env.close()
