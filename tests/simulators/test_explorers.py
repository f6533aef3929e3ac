import itertools
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import simulators  # noqa: F401
from simulators import explorers
from simulators.explorers.snag import snagged
from simulators.explorers.steering import cell_of
from simulators.maze.motion import FORWARD, HEADINGS, STEP, TURN, Pose
from worldmodel_env.errors import InputError

SQUARE = [(1, 0), (0, 1), (-1, 0), (0, -1)]
"""East and north of the headings along an axis."""


@pytest.fixture(scope="module")
def envs():
    envs = {task: gymnasium.make("SimMaze-v0", task=task) for task in ("goal", "explore")}
    yield envs
    for env in envs.values():
        env.close()


def play(env, name, seed):
    """Actions, poses (x, y, degrees) and the last step's reward."""
    policy = explorers.make(name)
    observation, info = env.reset(seed=seed)
    policy.reset(env, seed)
    actions, poses, reward, ended = [], [info["pose"]], 0.0, False
    while not ended:
        action = policy.act(env, observation, info)
        observation, reward, terminated, truncated, info = env.step(action)
        actions.append(action)
        poses.append(info["pose"])
        ended = terminated or truncated
    return np.array(actions), np.array(poses), reward


@pytest.mark.parametrize(
    "name", ["explore", "goal", "random", "sloppy", "snag", "out-and-back", "look-around", "tour"]
)
def test_an_episode_depends_on_its_seed_alone(envs, name):
    env = envs["goal"]
    first = play(env, name, 4)
    play(env, name, 5)
    again = play(env, name, 4)
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()


def test_explore_sees_most_of_the_maze(envs):
    shares = []
    for seed in range(5):
        _, poses, _ = play(envs["explore"], "explore", seed)
        maze = envs["explore"].unwrapped.maze
        visited = {maze.cell_at(x, y) for x, y, _ in poses}
        shares.append(len(visited) / len(maze.distances(maze.cell_at(*poses[0][:2]))))
    assert np.mean(shares) > 0.75


def test_goal_takes_the_shortest_way(envs):
    for seed in range(8):
        env = envs["goal"]
        env.reset(seed=seed)
        maze, start = env.unwrapped.maze, cell_of(env.unwrapped.maze, env.unwrapped.pose)
        cells = maze.distances(start)[env.unwrapped.goal]
        actions, _, reward = play(env, "goal", seed)
        assert reward == 1
        assert (actions == FORWARD).sum() <= 4 * cells + 4


def test_goal_needs_a_goal(envs):
    envs["explore"].reset(seed=0)
    with pytest.raises(InputError, match='task="goal"'):
        explorers.make("goal").reset(envs["explore"], 0)


def test_sloppy_bumps_and_slides(envs):
    moved = []
    for seed in range(4):
        actions, poses, _ = play(envs["explore"], "sloppy", seed)
        steps = np.hypot(*np.diff(poses[:, :2], axis=0).T)
        moved += steps[actions == FORWARD].tolist()
    blocked = np.array(moved) < STEP / 2
    assert 0.1 < blocked.mean() < 0.5
    assert ((np.array(moved) > 1) & (np.array(moved) < STEP - 2)).mean() > 0.02


def test_out_and_back_sees_the_same_poses_again(envs):
    shares = []
    for seed in range(4):
        _, poses, _ = play(envs["explore"], "out-and-back", seed)
        seen = {}
        for time, pose in enumerate(map(tuple, poses)):
            seen.setdefault(pose, time)
        shares.append(np.mean([time - seen[tuple(p)] >= 30 for time, p in enumerate(poses)]))
    assert np.mean(shares) > 0.2


def test_look_around_turns_in_place_and_goes_on(envs):
    turned, visited = [], []
    for seed in range(4):
        actions, poses, _ = play(envs["explore"], "look-around", seed)
        maze = envs["explore"].unwrapped.maze
        visited.append(len({maze.cell_at(x, y) for x, y, _ in poses}))
        runs = [len(list(run)) for action, run in itertools.groupby(actions) if action != FORWARD]
        turned.append(max(runs))
    assert max(turned) > 2 * HEADINGS
    assert np.mean(visited) > 5


def test_snag_pushes_where_the_view_ahead_is_free():
    env = gymnasium.make("SimMaze-v0", size=7)
    pushes, free = 0, 0
    for seed in range(6):
        actions, poses, _ = play(env, "snag", seed)
        maze = env.unwrapped.maze
        for before, after, action in zip(poses[:-1], poses[1:], actions, strict=True):
            if action == FORWARD and (before == after).all():
                pushes += 1
                free += snagged(maze, Pose(int(before[0]), int(before[1]), round(before[2] / TURN)))
    assert pushes > 100
    assert free / pushes > 0.9
    env.close()


def test_only_a_corner_beside_a_free_way_snags():
    env = gymnasium.make("SimMaze-v0", size=9)
    env.reset(seed=0)
    maze = env.unwrapped.maze
    found = 0
    for cell in maze.distances(maze.cell_at(env.unwrapped.pose.x, env.unwrapped.pose.y)):
        x, y = map(int, maze.centre(cell))
        for heading, (east, north) in zip(range(0, 16, 4), SQUARE, strict=True):
            assert not snagged(maze, Pose(x, y, heading))
            # At the face of the cell ahead, and so far to the left that the footprint is in two.
            aside = Pose(x + 32 * east - 40 * north, y + 32 * north + 40 * east, heading)
            left = maze.cell_at(x - 96 * north, y + 96 * east)
            ahead = maze.cell_at(x + 96 * east, y + 96 * north)
            corner = maze.cell_at(x + 96 * (east - north), y + 96 * (north + east))
            is_free = [not maze.walls[other] for other in (left, ahead, corner)]
            if is_free[0]:
                assert snagged(maze, aside) == (is_free[1:] == [True, False])
                found += snagged(maze, aside)
    assert found > 0
    env.close()


def test_tour_leaves_the_goal_for_last():
    env = gymnasium.make("SimMaze-v0", size=5)
    for seed in range(6):
        _, poses, reward = play(env, "tour", seed)
        maze, goal = env.unwrapped.maze, env.unwrapped.goal
        visited = [maze.cell_at(x, y) for x, y, _ in poses]
        walls = maze.walls.copy()
        walls[goal] = 1
        reachable = replace(maze, walls=walls).distances(visited[0]).keys()
        before = visited[: visited.index(goal)]
        assert reward == 1
        assert reachable <= {*before}
    env.close()


@pytest.mark.parametrize(
    "space",
    [spaces.Discrete(5), spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (2,), np.float32)],
)
def test_random_acts_in_any_space_and_sticks(space):
    env = gymnasium.Env()
    env.action_space = space
    policy = explorers.make("random")
    policy.reset(env, 7)
    actions = [policy.act(env, None, {}) for _ in range(400)]
    assert all(space.contains(action) for action in actions)
    kept = [np.array_equal(a, b) for a, b in itertools.pairwise(actions)]
    assert 0.65 < np.mean(kept) < 0.95
    policy.reset(env, 7)
    assert all(np.array_equal(policy.act(env, None, {}), action) for action in actions)


def test_walkers_need_a_maze():
    env = gymnasium.make("CartPole-v1")
    policy = explorers.make("explore")
    policy.reset(env, 0)
    with pytest.raises(InputError, match="CartPoleEnv"):
        policy.act(env, None, {})


def test_an_unknown_name_lists_the_known():
    with pytest.raises(InputError, match="'fly'; choose one of explore, goal, random"):
        explorers.make("fly")
