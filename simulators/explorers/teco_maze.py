"""The walker of DMLab-40k: turns round, then on to the farthest cell that it has not seen yet."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np

from worldmodel_env.errors import InputError

Cell = tuple[int, int]

_TURNS = 20
"""Turns to the left at the start. The published collector made thirty and left out ten frames."""
_REACHED = 0.4
"""A cell is reached this near to its centre, as a share of its side."""
_AIMED = 10.0
"""Degrees off its aim with which it still walks on."""
_NEEDED = ("turn left", "turn right", "forward")


class TecoMaze:
    """Needs a simulator with `cell`, `info["layout"]`, a pose, and the three actions by name.

    Ways are shortest ones through the centres of cells; all cells of a way count as visited, and
    once all have been, none has.
    """

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        self._rng = np.random.default_rng(seed)
        self._step = 0
        self._walls: np.ndarray | None = None
        self._visited: set[Cell] = set()
        self._way: list[Cell] = []
        names = getattr(env.unwrapped, "action_meanings", ())
        if not hasattr(env.unwrapped, "cell") or any(name not in names for name in _NEEDED):
            raise InputError(
                'The policy "teco-maze" walks by a map of cells, which '
                f"{type(env.unwrapped).__name__} does not give; use SimDMLab-v0 with the actions "
                '"teco" or "full", or "explore" in SimMaze-v0.'
            )
        self._left, self._right, self._forward = (names.index(name) for name in _NEEDED)
        self._side = float(env.unwrapped.cell)

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action, by the pose in `info` (and its layout, at the first)."""
        if self._walls is None:
            if "layout" not in info or "pose" not in info:
                raise InputError('The policy "teco-maze" needs a level with a maze\'s layout.')
            self._walls = np.asarray(info["layout"])
        x, y, heading = (float(number) for number in info["pose"])
        if not self._way or self._distance(x, y) <= _REACHED * self._side:
            self._way = self._way[1:] or self._draw_way(self._cell(x, y))
        self._step += 1
        if self._step <= _TURNS or not self._way:
            return self._left
        cx, cy = self._centre(self._way[0])
        error = (math.degrees(math.atan2(cy - y, cx - x)) - heading + 180) % 360 - 180
        if abs(error) < _AIMED:
            return self._forward
        return self._left if error > 0 else self._right

    def _draw_way(self, here: Cell) -> list[Cell]:
        """To one of the farthest cells of those not visited; empty where there is none."""
        before = self._search(here)
        steps = {cell: self._length(before, cell) for cell in before}
        if self._visited >= before.keys() - {here}:
            self._visited = set()
        fresh = [cell for cell in before if cell not in self._visited and cell != here]
        if not fresh:
            return []
        farthest = max(steps[cell] for cell in fresh)
        ends = [cell for cell in fresh if steps[cell] == farthest]
        cell = ends[int(self._rng.integers(len(ends)))]
        way: list[Cell] = []
        while cell != here:
            way.insert(0, cell)
            cell = before[cell]
        self._visited |= {here, *way}
        return way

    def _search(self, start: Cell) -> dict[Cell, Cell]:
        """Each cell that can be reached, with the one before it on a shortest way there."""
        assert self._walls is not None
        before = {start: start}
        queue = deque([start])
        while queue:
            row, column = queue.popleft()
            for near in (
                (row - 1, column),
                (row, column + 1),
                (row + 1, column),
                (row, column - 1),
            ):
                if near not in before and self._free(near):
                    before[near] = (row, column)
                    queue.append(near)
        return before

    def _length(self, before: dict[Cell, Cell], cell: Cell) -> int:
        length = 0
        while before[cell] != cell:
            cell, length = before[cell], length + 1
        return length

    def _free(self, cell: Cell) -> bool:
        assert self._walls is not None
        rows, columns = self._walls.shape
        return 0 <= cell[0] < rows and 0 <= cell[1] < columns and not self._walls[cell]

    def _cell(self, x: float, y: float) -> Cell:
        assert self._walls is not None
        return len(self._walls) - 1 - int(y // self._side), int(x // self._side)

    def _centre(self, cell: Cell) -> tuple[float, float]:
        assert self._walls is not None
        row, column = cell
        return (column + 0.5) * self._side, (len(self._walls) - 0.5 - row) * self._side

    def _distance(self, x: float, y: float) -> float:
        cx, cy = self._centre(self._way[0])
        return math.hypot(cx - x, cy - y)
