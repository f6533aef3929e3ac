"""A maze as a Doom map: geometry only; the engine builds the BSP nodes when it loads the map."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from simulators.maze.layout import CELL, Cell, Maze
from simulators.maze.textures import HEIGHT, MARGIN

Lump = tuple[str, bytes]
"""Name (at most eight letters) and content of an entry of a WAD."""

_BLOCKING, _TWO_SIDED, _NO_SIDE = 1, 4, 0xFFFF
_PLAYER, _ALL_SKILLS, _LIGHT = 1, 7, 255


def map_lumps(name: str, maze: Maze) -> Iterator[Lump]:
    """The lumps of one map: a sector per quadrant, a line per face of a wall."""
    vertices: dict[tuple[int, int], int] = {}
    lines, sides = [], []

    def vertex(x: int, y: int) -> int:
        return vertices.setdefault((x * CELL, y * CELL), len(vertices))

    def side(quadrant: int, texture: str) -> int:
        picture = texture.encode()
        sides.append(struct.pack("<hh8s8s8sH", 0, MARGIN, b"-", b"-", picture, quadrant))
        return len(sides) - 1

    for cell in maze.free_cells():
        here = _quadrant(maze.size, cell)
        texture = f"WALL{here}{maze.patterns[cell]}"
        for beyond, axis, ends in _faces(maze.size, cell):
            first, second = vertex(*ends[:2]), vertex(*ends[2:])
            there = _quadrant(maze.size, beyond)
            if maze.walls[beyond]:
                front = side(here, texture + axis)
                line = (first, second, _BLOCKING, 0, 0, front, _NO_SIDE)
            elif there > here:
                line = (first, second, _TWO_SIDED, 0, 0, side(here, "-"), side(there, "-"))
            else:
                continue
            lines.append(struct.pack("<7H", *line))

    yield name, b""
    x, y = maze.centre(maze.free_cells()[0])
    yield "THINGS", struct.pack("<5h", x, y, 0, _PLAYER, _ALL_SKILLS)
    yield "LINEDEFS", b"".join(lines)
    yield "SIDEDEFS", b"".join(sides)
    yield "VERTEXES", b"".join(struct.pack("<hh", *point) for point in vertices)
    yield "SECTORS", b"".join(_sector(quadrant) for quadrant in range(4))


def _faces(size: int, cell: Cell) -> Iterator[tuple[Cell, str, tuple[int, int, int, int]]]:
    """Round a cell: the cell beyond each face, the axis the face runs along, and its two ends."""
    row, column = cell
    west, south = column, size - 1 - row
    east, north = west + 1, south + 1
    # A line's front is on its right, so the faces run clockwise round the cell.
    yield (row - 1, column), "X", (west, north, east, north)
    yield (row, column + 1), "Y", (east, north, east, south)
    yield (row + 1, column), "X", (east, south, west, south)
    yield (row, column - 1), "Y", (west, south, west, north)


def _quadrant(size: int, cell: Cell) -> int:
    """0 north-west, 1 north-east, 2 south-west, 3 south-east."""
    return 2 * (cell[0] > size // 2) + (cell[1] > size // 2)


def _sector(quadrant: int) -> bytes:
    floor = f"FLOOR{quadrant}".encode()
    return struct.pack("<hh8s8shhh", 0, HEIGHT, floor, b"CEILING", _LIGHT, 0, 0)
