"""A maze on a grid: its cells, the ways between them, and where they lie in the world.

A maze is a uint8 array (size, size): 1 is wall, 0 is free. Row 0 is the north edge, so the printed
array is the maze seen from above. In the world x grows to the east and y to the north.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Cell = tuple[int, int]
"""(row, column), row 0 at the north."""

CELL = 96
"""Side of a cell in units of the world."""
SIDES = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Steps to the cell in the north, the east, the south and the west."""


@dataclass(frozen=True)
class Maze:
    """One maze: where the walls are, and which pattern the walls around each cell carry.

    Attributes:
        walls: uint8 (size, size), 1 = wall.
        patterns: uint8 (size, size), a pattern of `textures.wall`.
    """

    walls: NDArray[np.uint8]
    patterns: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Cells along one edge, border included."""
        return len(self.walls)

    def free_cells(self) -> list[Cell]:
        """All cells one can stand in, north to south, west to east."""
        return [(int(row), int(column)) for row, column in np.argwhere(self.walls == 0)]

    def centre(self, cell: Cell) -> tuple[int, int]:
        """The middle of a cell, (x, y) in units from the maze's south-west corner."""
        row, column = cell
        return column * CELL + CELL // 2, (self.size - 1 - row) * CELL + CELL // 2

    def cell_at(self, x: float, y: float) -> Cell:
        """The cell that a point lies in; a border belongs to the cell to its east or north."""
        return self.size - 1 - int(y // CELL), int(x // CELL)

    def neighbours(self, cell: Cell) -> list[Cell]:
        """Free cells that share a side with `cell`: north, east, south, west."""
        row, column = cell
        around = [(row + down, column + right) for down, right in SIDES]
        return [near for near in around if self.walls[near] == 0]

    def distances(self, cell: Cell) -> dict[Cell, int]:
        """Steps of the shortest path from `cell` to every cell that it can reach."""
        found = {cell: 0}
        queue = deque([cell])
        while queue:
            here = queue.popleft()
            for near in self.neighbours(here):
                if near not in found:
                    found[near] = found[here] + 1
                    queue.append(near)
        return found

    def path(self, start: Cell, end: Cell) -> list[Cell]:
        """A shortest path, both ends included; of equals, the first by north, east, south, west."""
        to_end = self.distances(end)
        cells = [start]
        while cells[-1] != end:
            cells.append(min(self.neighbours(cells[-1]), key=to_end.__getitem__))
        return cells
