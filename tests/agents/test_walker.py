"""The scripted walker, on made-up frames and in the real maze."""

from collections.abc import Callable

import gymnasium
import numpy as np
import pytest

import simulators  # noqa: F401
from agents.walker import CEILING, FORWARD, LEFT, RIGHT, Walker, openness


def frame(*, left: bool = True, ahead: bool = True, right: bool = True, shade: int = 80):
    """A frame in which the ceiling is seen at the left, ahead or at the right."""
    picture = np.full((64, 64, 3), shade, np.uint8)
    for seen, columns in ((left, slice(0, 21)), (ahead, slice(21, 43)), (right, slice(43, 64))):
        if seen:
            picture[:32, columns] = CEILING
    return picture


def test_openness():
    assert openness(frame()) == (1, 1, 1)
    assert openness(frame(left=False)) == (0, 1, 1)
    assert openness(frame(ahead=False, right=False)) == (1, 0, 0)
    white, grey = np.full((64, 64, 3), 236, np.uint8), np.full((64, 64, 3), 196, np.uint8)
    assert openness(white) == openness(grey) == (0, 0, 0), "striped walls are no ceiling"


def test_mostly_forward_where_it_is_open():
    walker = Walker(0)
    actions = [walker.act(frame(shade=40 + 10 * (t % 2))) for t in range(400)]
    assert 0.75 < np.mean(np.array(actions) == FORWARD) < 0.97
    assert {LEFT, RIGHT} < set(actions)


@pytest.mark.parametrize(("left", "expected"), [(True, LEFT), (False, RIGHT)])
def test_turns_to_the_open_side_until_the_view_opens(left, expected):
    walker = Walker(0)
    wall = frame(left=left, ahead=False, right=not left)
    assert [walker.act(wall) for _ in range(6)] == [expected] * 6
    # Even if meanwhile the other side looks wider.
    assert walker.act(frame(left=not left, ahead=False, right=left)) == expected
    assert walker.act(frame()) == FORWARD


def test_turns_when_a_step_changes_nothing():
    walker = Walker(1)
    assert walker.act(frame()) == FORWARD
    turns = [walker.act(frame()) for _ in range(3)]
    assert turns[0] in (LEFT, RIGHT)
    assert turns == turns[:1] * 3


def test_does_not_turn_for_ever():
    walker = Walker(0)
    nothing = [frame(left=False, ahead=False, right=False, shade=s) for s in (60, 120)]
    actions = [walker.act(nothing[t % 2]) for t in range(60)]
    assert FORWARD in actions
    assert actions.count(FORWARD) < 10


def test_same_seed_same_walk():
    frames = np.random.default_rng(0).integers(190, 230, (200, 64, 64, 3)).astype(np.uint8)
    walks = [[walker.act(f) for f in frames] for walker in map(Walker, (3, 3, 4))]
    assert walks[0] == walks[1] != walks[2]


def cells_visited(env: gymnasium.Env, act: Callable[[np.ndarray], int], seed: int) -> int:
    observation, _ = env.reset(seed=seed)
    maze = env.unwrapped
    seen, truncated = set(), False
    while not truncated:
        observation, _, _, truncated, _ = env.step(act(observation))
        seen.add(maze.maze.cell_at(maze.pose.x, maze.pose.y))
    return len(seen)


def test_sees_much_more_of_a_maze_than_chance():
    env = gymnasium.make("SimMaze-v0", task="explore")
    walked, random = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        walked.append(cells_visited(env, Walker(seed).act, seed))
        random.append(cells_visited(env, lambda _, rng=rng: int(rng.integers(3)), seed))
    env.close()
    assert np.mean(walked) > np.mean(random) + 6


def test_walks_in_a_dream(nano_env):
    walker = Walker(0)
    observation, _ = nano_env.reset(seed=0)
    for _ in range(20):
        observation = nano_env.step(walker.act(observation))[0]
