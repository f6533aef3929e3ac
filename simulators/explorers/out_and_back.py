"""Walks out and returns the same way, over and over: places are seen again from the same spots."""

from __future__ import annotations

from typing import Any

import numpy as np

from simulators.explorers.steering import Route, cell_of, maze_env
from simulators.maze.motion import FORWARD, HEADINGS, LEFT, RIGHT

_FARTHEST = 6
"""Cells of the longest way out."""
_FULL_TURN_SHARE = 0.35
_AGAIN_SHARE = 0.5
_MIRRORED = {LEFT: RIGHT, RIGHT: LEFT, FORWARD: FORWARD}


class OutAndBack:
    """Way out, sometimes a full turn, about-face, way back, about-face; then again or elsewhere.

    The way back mirrors the actions of the way out, so (motion being exact) it passes through the
    same positions with the opposite heading, and a repeated way out through the same poses.
    """

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        self._rng = np.random.default_rng(seed)
        self._route = Route()
        self._way_out: list[int] = []
        self._planned: list[int] = []

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action: 0 left, 1 right, 2 forward."""
        if self._planned:
            return self._planned.pop(0)
        maze, pose = maze_env(env).maze, maze_env(env).pose
        action = self._route.action(maze, pose)
        if action is None and self._way_out:
            self._planned = self._return()
            return self._planned.pop(0)
        while action is None:
            here = cell_of(maze, pose)
            distance = maze.distances(here)
            near = [cell for cell, steps in distance.items() if 0 < steps <= _FARTHEST]
            self._route = Route(maze.path(here, near[int(self._rng.integers(len(near)))]))
            action = self._route.action(maze, pose)
        self._way_out.append(action)
        return action

    def _return(self) -> list[int]:
        """All actions until the way out has been walked back, or back and out and back again."""
        out, self._way_out, self._route = self._way_out, [], Route()
        back = self._about_face() + [_MIRRORED[action] for action in reversed(out)]
        actions = self._full_turn() + back + self._about_face()
        if self._rng.random() < _AGAIN_SHARE:
            actions += out + self._full_turn() + back + self._about_face()
        return actions

    def _full_turn(self) -> list[int]:
        wanted = self._rng.random() < _FULL_TURN_SHARE
        return [self._side()] * HEADINGS if wanted else []

    def _about_face(self) -> list[int]:
        return [self._side()] * (HEADINGS // 2)

    def _side(self) -> int:
        return LEFT if self._rng.random() < 0.5 else RIGHT
