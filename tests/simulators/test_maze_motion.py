import itertools

import numpy as np
import pytest

from simulators.maze.layout import CELL, Maze
from simulators.maze.motion import FORWARD, HEADINGS, LEFT, RADIUS, RIGHT, STEP, Pose, move
from simulators.maze.pools import pool_maze

WALLS = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 1, 1], [1, 1, 1, 1]], np.uint8)
MAZE = Maze(WALLS, np.zeros_like(WALLS))
CORNER = MAZE.centre((1, 1))


def test_turns_are_exact_and_sixteen_make_a_circle():
    pose = Pose(*CORNER, 0)
    assert move(MAZE, pose, LEFT).array().tolist() == [*CORNER, 22.5]
    assert move(MAZE, pose, RIGHT).array().tolist() == [*CORNER, 337.5]
    turned = pose
    for _ in range(HEADINGS):
        turned = move(MAZE, turned, LEFT)
    assert turned == pose


def test_four_steps_cross_a_cell():
    pose = Pose(*CORNER, 0)
    for _ in range(CELL // STEP):
        pose = move(MAZE, pose, FORWARD)
    assert (pose.x, pose.y) == MAZE.centre((1, 2))


@pytest.mark.parametrize("heading", range(HEADINGS))
def test_a_step_there_and_a_step_back_end_where_they_began(heading):
    there = move(MAZE, Pose(*CORNER, heading), FORWARD)
    assert np.hypot(there.x - CORNER[0], there.y - CORNER[1]) == pytest.approx(STEP, abs=0.3)
    back = move(MAZE, Pose(there.x, there.y, (heading + HEADINGS // 2) % HEADINGS), FORWARD)
    assert (back.x, back.y) == CORNER


def test_a_wall_stops_a_step_at_its_face_and_lets_it_slide():
    west = Pose(*CORNER, HEADINGS // 2)
    for _ in range(5):
        west = move(MAZE, west, FORWARD)
    assert (west.x, west.y) == (CELL + RADIUS, CORNER[1])
    slid = move(MAZE, Pose(west.x, west.y, HEADINGS * 5 // 8), FORWARD)
    assert (slid.x, slid.y) == (west.x, west.y - 17)


def test_nobody_ever_stands_in_a_wall():
    rng = np.random.default_rng(0)
    maze = pool_maze(9, "train", 0)
    pose = Pose(*maze.centre(maze.free_cells()[0]), 0)
    for action in rng.choice(3, 20_000, p=(0.15, 0.15, 0.7)):
        pose = move(maze, pose, int(action))
        for east, north in itertools.product((-RADIUS + 1, RADIUS - 1), repeat=2):
            assert not maze.walls[maze.cell_at(pose.x + east, pose.y + north)]
