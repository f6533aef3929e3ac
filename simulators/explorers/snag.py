"""Catches on corners beside its way, and keeps on pushing.

The player is wider than its eye: where its footprint meets a corner, a step is stopped although the
view ahead is free. An agent that learned in a world which had hardly seen this pushed against such
corners for ever, for in that world it came through.
"""

from __future__ import annotations

import math
from typing import Any

from simulators.explorers.explore import Explore
from simulators.explorers.steering import Route, maze_env
from simulators.maze.layout import Maze
from simulators.maze.motion import FORWARD, HEADINGS, LEFT, RIGHT, STEP, TURN, Pose, move

_SHARE, _TRIES = 0.1, 50
"""How often it looks for a corner to catch on, and how many ways there it tries."""


class Snag(Explore):
    """`explore`, which again and again goes aside to a corner and pushes against it."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        super().reset(env, seed)
        self._plan: list[int] = []

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action: 0 left, 1 right, 2 forward."""
        if not self._plan and self._rng.random() < _SHARE:
            self._plan = self._aside(maze_env(env).maze, maze_env(env).pose)
            self._route = Route()
        return self._plan.pop(0) if self._plan else super().act(env, obs, info)

    def _aside(self, maze: Maze, pose: Pose) -> list[int]:
        """Turns and steps to where a corner stops it, and pushes there; empty if none is found."""
        for _ in range(_TRIES):
            plan: list[int] = []
            for turns in self._rng.integers(-HEADINGS // 2, HEADINGS // 2, size=2):
                plan += [LEFT if turns > 0 else RIGHT] * abs(int(turns))
                plan += [FORWARD] * int(self._rng.integers(1, 5))
            there = pose
            for action in plan:
                there = move(maze, there, action)
            if snagged(maze, there):
                return plan + [FORWARD] * int(self._rng.integers(1, 31))
        return []


def snagged(maze: Maze, pose: Pose) -> bool:
    """Whether a step ahead is stopped where the eye has a whole step's way before it, and more."""
    angle = math.radians(pose.heading * TURN)
    x, y = pose.x + 2 * STEP * math.cos(angle), pose.y + 2 * STEP * math.sin(angle)
    return move(maze, pose, FORWARD) == pose and not maze.walls[maze.cell_at(x, y)]
