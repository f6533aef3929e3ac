"""Random mazes after TECO's DMLab recipe, and the pools that keep the splits apart.

A depth-first carve joins the rooms (odd row, odd column) into a tree; then every inner cell that is
still wall is opened with probability 0.15, which makes loops.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from simulators.maze.layout import SIDES, Maze

SIZES = (5, 7, 9)
SPLITS = ("train", "validation", "test")
POOLS = {"train": 4096, "validation": 512, "test": 512}
"""Mazes in each split's pool."""
OPENING = 0.15
PATTERN_SHARE = (0.6, 0.2, 0.2)
"""How often a cell's walls carry blocks, stripes, discs."""


def carve(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Draws one layout: uint8 (size, size), 1 = wall."""
    walls = np.ones((size, size), np.uint8)
    rooms = size // 2
    stack = [(int(rng.integers(rooms)) * 2 + 1, int(rng.integers(rooms)) * 2 + 1)]
    walls[stack[0]] = 0
    while stack:
        row, column = stack[-1]
        onward = [
            (row + 2 * down, column + 2 * right)
            for down, right in SIDES
            if 0 < row + 2 * down < size and 0 < column + 2 * right < size
        ]
        onward = [room for room in onward if walls[room]]
        if not onward:
            stack.pop()
            continue
        room = onward[int(rng.integers(len(onward)))]
        walls[room] = 0
        walls[(row + room[0]) // 2, (column + room[1]) // 2] = 0
        stack.append(room)
    inner = walls[1:-1, 1:-1]
    inner[rng.random(inner.shape) < OPENING] = 0
    return walls


def split_of(walls: NDArray[np.uint8]) -> str:
    """The one split that a layout belongs to: a hash, so that no layout is in two of them.

    About 6/8 of the layouts train, 1/8 validate, 1/8 test; of size 5's ten: eight, one and one.
    """
    remainder = zlib.crc32(walls.tobytes()) % 8
    return {0: "validation", 1: "test"}.get(remainder, "train")


def pool_maze(size: int, split: str, index: int) -> Maze:
    """Maze number `index` of a split's pool: a pure function of its arguments."""
    rng = np.random.default_rng((size, SPLITS.index(split), index))
    walls = carve(rng, size)
    while split_of(walls) != split:
        walls = carve(rng, size)
    patterns = rng.choice(len(PATTERN_SHARE), (size, size), p=PATTERN_SHARE)
    return Maze(walls, patterns.astype(np.uint8))
