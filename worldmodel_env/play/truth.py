"""The simulator that walks beside the world, with the same actions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.schema import SEED_BASE
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.play.scene import Frame, Sight
from worldmodel_env.play.simulator import Simulator

STARTS = 500
"""Starts to choose from: seeds of held-out episodes."""


@dataclass(frozen=True)
class Map:
    """Where the simulator's walk takes place.

    Attributes:
        walls: (N, N) uint8, 1 = wall, row 0 at the north; None where unknown.
        goal: cell (row, column), or None.
        cell: side of a cell, in units of poses; None where unknown.
        extras: what the simulator's reset told: "layout" and "goal".
    """

    walls: NDArray[np.uint8] | None
    goal: tuple[int, int] | None
    cell: float | None
    extras: Mapping[str, Any]


class Truth:
    """One simulator, brought to wherever the walk is.

    Simulators need not be able to go back: their episodes are a function of seed and actions, so an
    earlier moment is reached by walking there again.
    """

    def __init__(self, simulator: Simulator, world: World) -> None:
        """Start the simulator.

        Raises:
            InputError: it cannot start, or its spaces are not the world's.
        """
        self.simulator = simulator
        self._env = simulator.make()
        self._done: tuple[int, list[int]] | None = None
        own = (self._env.observation_space, self._env.action_space)
        if own != (world.observation_space, world.action_space):
            self._env.close()
            raise InputError(
                f"{simulator.name} has the spaces {own[0]} and {own[1]}, which are not those of "
                f"the world {world.name!r}; compare a world with the simulator it imitates."
            )

    def begin(self, start: int) -> tuple[Sight, Map]:
        """The first moment of a start, 0 <= start < STARTS, and its map."""
        seed = SEED_BASE["test"] + start
        frame, info = self._env.reset(seed=seed)
        self._done = (start, [])
        return Sight(np.array(frame), _pose(info), 0.0, False), self._map(info)

    def follow(self, start: int, actions: Sequence[int], before: Sight) -> Sight:
        """The moment after `actions` since `start`; `before` is the one before the last of them."""
        if before.ended:
            return replace(before, reward=0.0)
        path = list(actions)
        if self._done != (start, path[:-1]):
            self.begin(start)
            for action in path[:-1]:
                self._env.step(np.int64(action))
        self._done = None  # should the simulator fail, it begins anew
        frame, reward, terminated, truncated, info = self._env.step(np.int64(path[-1]))
        self._done = (start, path)
        return Sight(np.array(frame), _pose(info), float(reward), bool(terminated or truncated))

    def thumbnail(self, start: int) -> Frame:
        """The frame that a start shows."""
        return self.begin(start)[0].frame

    def close(self) -> None:
        """Stop the simulator."""
        self._env.close()

    def _map(self, info: Mapping[str, Any]) -> Map:
        extras = {name: info[name] for name in ("layout", "goal") if info.get(name) is not None}
        layout, goal = extras.get("layout"), extras.get("goal")
        known = isinstance(layout, np.ndarray) and layout.ndim == 2 and self.simulator.cell
        return Map(
            walls=layout if known else None,
            goal=(int(goal[0]), int(goal[1])) if known and goal is not None else None,
            cell=self.simulator.cell if known else None,
            extras=extras,
        )


def _pose(info: Mapping[str, Any]) -> tuple[float, float, float] | None:
    pose = info.get("pose")
    if pose is None:
        return None
    x, y, heading = (float(value) for value in pose)
    return x, y, heading
