"""Sticky random actions, for any Gymnasium environment."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

_KEEP = 0.75


class Random:
    """Samples the action space and keeps each action for four steps on average."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        self._rng = np.random.default_rng(seed)
        self._space = copy.deepcopy(env.action_space)
        self._space.seed(seed)
        self._action = self._space.sample()

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> Any:
        """The last action again, or a new sample."""
        if self._rng.random() >= _KEEP:
            self._action = self._space.sample()
        return self._action
