"""What the maze walkers share: looking up the maze, and walking through the centres of cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators.maze.layout import Cell, Maze
from simulators.maze.motion import FORWARD, LEFT, RIGHT, TURN, Pose
from worldmodel_env.errors import InputError

REACHED = 40
"""A cell counts as reached this near to its centre, in units, as with TECO's walker."""


def maze_env(env: Any) -> Any:
    """The unwrapped environment, which must have `maze`, `pose` and `goal` as SimMaze-v0 has."""
    unwrapped = env.unwrapped
    if not hasattr(type(unwrapped), "maze"):
        raise InputError(
            f"This policy walks by a maze's map, which {type(unwrapped).__name__} does not have; "
            'use SimMaze-v0 or the policy "random".'
        )
    return unwrapped


def cell_of(maze: Maze, pose: Pose) -> Cell:
    """The cell that the player stands in."""
    return maze.cell_at(pose.x, pose.y)


def turns_to(maze: Maze, pose: Pose, cell: Cell) -> int:
    """Turns to the left, -8..7, that bring the heading as near as can be to a cell's centre."""
    x, y = maze.centre(cell)
    bearing = round(math.degrees(math.atan2(y - pose.y, x - pose.x)) / TURN)
    return (bearing - pose.heading + 8) % 16 - 8


class Route:
    """Cells to walk through one after another, the next one first."""

    def __init__(self, cells: list[Cell] | None = None):
        self._cells = list(cells or [])

    def action(self, maze: Maze, pose: Pose) -> int | None:
        """The next action; None when the last cell is reached."""
        while self._cells and self._reached(maze, pose):
            self._cells.pop(0)
        if not self._cells:
            return None
        turns = turns_to(maze, pose, self._cells[0])
        if turns == 0:
            return FORWARD
        return LEFT if turns > 0 else RIGHT

    def _reached(self, maze: Maze, pose: Pose) -> bool:
        x, y = maze.centre(self._cells[0])
        return math.hypot(x - pose.x, y - pose.y) <= REACHED


def random_action(rng: np.random.Generator) -> int:
    """Any of the three actions."""
    return int(rng.integers(3))
