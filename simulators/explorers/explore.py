"""TECO's walker: always on the way to the farthest cell that it has not visited yet."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.explorers.steering import Route, cell_of, maze_env, random_action
from simulators.maze.layout import Cell, Maze

_RANDOM_SHARE = 0.05


class Explore:
    """Visits all cells, then all of them again; one action in twenty is random."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        self._rng = np.random.default_rng(seed)
        self._visited: set[Cell] = set()
        self._route = Route()

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action: 0 left, 1 right, 2 forward."""
        pose = maze_env(env).pose
        here = cell_of(maze_env(env).maze, pose)
        self._visited.add(here)
        maze = self._map(env, here)
        if self._rng.random() < _RANDOM_SHARE:
            return random_action(self._rng)
        action = self._route.action(maze, pose)
        while action is None:
            distance = maze.distances(here)
            if self._visited >= distance.keys():
                self._visited = {here}
            unvisited = [cell for cell in distance if cell not in self._visited]
            self._route = Route(maze.path(here, max(unvisited, key=distance.__getitem__)))
            action = self._route.action(maze, pose)
        return action

    def _map(self, env: Any, here: Cell) -> Maze:
        """Where it may go from `here`."""
        maze: Maze = maze_env(env).maze
        return maze
