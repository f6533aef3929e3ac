"""What a map probe asks for: the layout, where the agent is, and the walls around it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.clips import Clips

AHEAD, BEHIND = (-45, 0, 45), (135, 180, 225)
"""Degrees to the left of the heading; a view 90 degrees wide ends at 45."""


@dataclass(frozen=True)
class MapTargets:
    """Per episode and frame, as far as maps are known.

    Attributes:
        layout: (N, C) bool, wall or not, for the cells inside the border, row by row.
        position: (N, L, 2) float64, row and column in cells.
        ahead: (N, L, 3) bool, walls in the neighbouring cells that the agent faces.
        behind: (N, L, 3) bool, walls in those at its back, which it cannot see.
    """

    layout: NDArray[np.bool_]
    position: NDArray[np.float64]
    ahead: NDArray[np.bool_]
    behind: NDArray[np.bool_]


def map_targets(clips: Clips, cell: float) -> MapTargets:
    """Read the targets off poses and layouts.

    Args:
        clips: with poses and layouts, all of one size; x and y are counted from the layout's
            south-west corner.
        cell: side of a cell in the pose's units.

    Raises:
        InputError: poses or layouts are not known, or layouts differ in size.
    """
    layouts = [layout for layout in clips.layouts if layout is not None]
    if clips.pose is None or len(layouts) < len(clips):
        raise InputError(
            "The map probe needs each episode's poses and layout, which these lack; leave this "
            "probe out, or record SimMaze-v0."
        )
    if len(sizes := {layout.shape for layout in layouts}) > 1:
        raise InputError(
            f"The map probe needs layouts of one size, these have {sorted(sizes)}; record one size."
        )
    walls = np.stack(layouts) > 0
    rows = walls.shape[1]
    x, y, heading = np.moveaxis(clips.pose.astype(np.float64), -1, 0)
    row, column = rows - y / cell - 0.5, x / cell - 0.5  # a cell's centre has whole numbers
    return MapTargets(
        layout=walls[:, 1:-1, 1:-1].reshape(len(walls), -1),
        position=np.stack([row, column], -1),
        ahead=_around(walls, row, column, heading, AHEAD),
        behind=_around(walls, row, column, heading, BEHIND),
    )


def _around(
    walls: NDArray[np.bool_],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    heading: NDArray[np.float64],
    angles: tuple[int, ...],
) -> NDArray[np.bool_]:
    episode = np.arange(len(walls))[:, None]
    found = []
    for angle in angles:
        direction = np.radians(heading + angle)
        # One of the eight neighbours; y grows to the north and rows to the south.
        down, right = -np.rint(np.sin(direction)), np.rint(np.cos(direction))
        r = np.clip(np.rint(row) + down, 0, walls.shape[1] - 1).astype(int)
        c = np.clip(np.rint(column) + right, 0, walls.shape[2] - 1).astype(int)
        found.append(walls[episode, r, c])
    return np.stack(found, -1)
