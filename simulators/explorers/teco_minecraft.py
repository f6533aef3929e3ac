"""The random walk of Minecraft-200k."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldmodel_env.errors import InputError

_REPEAT = 5
"""Steps between two draws."""
_FORWARD = 0.9
"""Probability of going forward; turns share the rest."""
_LONGEST = 50
"""After so many steps forward in a row the next draw is a turn."""
_NEEDED = ("forward", "turn left", "turn right")


class TecoMinecraft:
    """Draws an action every fifth step: forward with 0.9, else a turn to either side."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        names = getattr(env.unwrapped, "action_meanings", ())
        if any(name not in names for name in _NEEDED):
            raise InputError(
                'The policy "teco-minecraft" needs actions called forward, turn left and turn '
                f"right, which {type(env.unwrapped).__name__} does not have; use SimMinecraft-v0."
            )
        self._actions = [names.index(name) for name in _NEEDED]
        self._rng = np.random.default_rng(seed)
        self._step = self._in_a_row = 0

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action."""
        if self._step % _REPEAT == 0:
            forward = 0.0 if self._in_a_row >= _LONGEST else _FORWARD
            turn = (1 - forward) / 2
            self._drawn = int(self._rng.choice(3, p=[forward, turn, turn]))
        self._step += 1
        self._in_a_row = self._in_a_row + 1 if self._drawn == 0 else 0
        return self._actions[self._drawn]
