"""Exact motion: where a turn or a step leads, and how walls stop it.

Positions are whole units, which are all that the engine's `warp` knows: a step forward, half a turn
and a step forward end where they began, to the bit of the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.maze.layout import CELL, Maze

LEFT, RIGHT, FORWARD = range(3)
HEADINGS = 16
TURN = 360 / HEADINGS
"""Degrees of one turn."""
STEP = 24
"""Units of one step forward, four to a cell; its two parts are rounded to whole units."""
RADIUS = 16
"""Half the side of the player's square footprint, in units."""

_STEPS = [
    (
        round(STEP * math.cos(math.radians(TURN * heading))),
        round(STEP * math.sin(math.radians(TURN * heading))),
    )
    for heading in range(HEADINGS)
]


@dataclass(frozen=True)
class Pose:
    """Position in units (x east, y north) and heading in turns of 22.5 degrees from the east."""

    x: int
    y: int
    heading: int

    def array(self) -> NDArray[np.float32]:
        """(x, y, degrees), float32; degrees counter-clockwise from the east, in [0, 360)."""
        return np.array((self.x, self.y, self.heading * TURN), np.float32)


def move(maze: Maze, pose: Pose, action: int) -> Pose:
    """The pose after one action; a step into a wall slides along it."""
    if action == LEFT:
        return Pose(pose.x, pose.y, (pose.heading + 1) % HEADINGS)
    if action == RIGHT:
        return Pose(pose.x, pose.y, (pose.heading - 1) % HEADINGS)
    dx, dy = _STEPS[pose.heading]
    x, y = pose.x, pose.y
    # One axis after the other, the longer first: what one wall takes away leaves the other whole.
    for axis in "xy" if abs(dx) >= abs(dy) else "yx":
        if axis == "x":
            x = _face(x, dx) if _in_wall(maze, x + dx, y) else x + dx
        else:
            y = _face(y, dy) if _in_wall(maze, x, y + dy) else y + dy
    return Pose(x, y, pose.heading)


def _in_wall(maze: Maze, x: int, y: int) -> bool:
    """Whether a footprint centred at (x, y) overlaps a wall; touching a face is not overlapping."""
    reach = RADIUS - 0.5
    return any(
        maze.walls[maze.cell_at(x + east, y + north)]
        for east in (-reach, reach)
        for north in (-reach, reach)
    )


def _face(start: int, delta: int) -> int:
    """Along one axis, where the footprint touches the face of the wall that a move would enter."""
    if delta > 0:
        return (start + delta + RADIUS) // CELL * CELL - RADIUS
    return -(-(start + delta - RADIUS) // CELL) * CELL + RADIUS
