"""Explores, and stops again and again to turn in place: what was just seen comes round again.

An agent that learned in a world which had seen little of this turned in place, for there a goal
came up sooner or later.
"""

from __future__ import annotations

from typing import Any

from simulators.explorers.explore import Explore
from simulators.maze.motion import FORWARD, HEADINGS, LEFT, RIGHT

_STEP_SHARE = 0.03
"""How often it steps while it turns: then the views are nearly, but not quite, the same."""


class LookAround(Explore):
    """`explore`, with stops for half a circle up to four."""

    STOPS = 0.06
    CIRCLES = 4

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        super().reset(env, seed)
        self._turns, self._side = 0, LEFT

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action: 0 left, 1 right, 2 forward."""
        if not self._turns and self._rng.random() < self.STOPS:
            self._turns = int(self._rng.integers(HEADINGS // 2, self.CIRCLES * HEADINGS + 1))
            self._side = LEFT if self._rng.random() < 0.5 else RIGHT
        if not self._turns:
            return super().act(env, obs, info)
        self._turns -= 1
        return FORWARD if self._rng.random() < _STEP_SHARE else self._side
