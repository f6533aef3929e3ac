"""A careless walker: it goes straight on until long after it has hit a wall."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulators.explorers.steering import maze_env, random_action
from simulators.maze.motion import FORWARD, LEFT, RIGHT, STEP, Pose

_RANDOM_SHARE = 0.1
_WHIM_SHARE = 0.08
"""How often it turns although nothing is in its way."""


class Sloppy:
    """Walks into walls, slides along them, pushes a while, and turns by a random angle."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        self._rng = np.random.default_rng(seed)
        self._before: Pose | None = None
        self._last = LEFT
        self._turns: list[int] = []
        self._draw_patience()

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action: 0 left, 1 right, 2 forward."""
        pose = maze_env(env).pose
        if self._last == FORWARD and self._before is not None:
            moved = math.hypot(pose.x - self._before.x, pose.y - self._before.y)
            self._patience -= moved < STEP / 2
        self._before = pose
        self._last = self._next()
        return self._last

    def _next(self) -> int:
        if self._rng.random() < _RANDOM_SHARE:
            return random_action(self._rng)
        if self._patience <= 0 or (not self._turns and self._rng.random() < _WHIM_SHARE):
            direction = LEFT if self._rng.random() < 0.5 else RIGHT
            self._turns = [direction] * int(self._rng.integers(1, 9))
            self._draw_patience()
        return self._turns.pop() if self._turns else FORWARD

    def _draw_patience(self) -> None:
        """Steps that may be blocked before it turns away: 1 to 5."""
        self._patience = int(self._rng.integers(1, 6))
