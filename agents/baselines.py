"""Policies that learn nothing, as what learned ones are measured against."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from agents.walker import Walker
from worldmodel_env.errors import InputError


class RowPolicy(Protocol):
    """Who acts in one episode; the recorder's explorers are such."""

    def reset(self, env: Any, seed: int) -> None:
        """An episode begins; `env` has just been reset."""

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> Any:
        """The next action."""


class Uniform:
    """Every action alike, drawn anew at each step."""

    def reset(self, env: Any, seed: int) -> None:
        """Begin an episode."""
        self._space = deepcopy(_action_space(env))
        self._space.seed(seed)

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> Any:
        """Draw from the action space."""
        return self._space.sample()


class Walking:
    """The scripted walker, which goes where the ceiling is open."""

    def reset(self, env: Any, seed: int) -> None:
        """Begin an episode.

        Raises:
            InputError: the actions are not turn left, turn right and forward.
        """
        if (space := _action_space(env)) != spaces.Discrete(3):
            raise InputError(
                f"the scripted walker turns and steps in mazes, this environment takes {space}; "
                "leave it out."
            )
        self._walker = Walker(seed)

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """Choose by the frame alone."""
        return self._walker.act(np.asarray(obs))


class Rows:
    """One policy per row as a batch, for `evaluate`.

    Args:
        make: makes one.
        rows: how many.
    """

    @classmethod
    def of(cls, make: Callable[[], RowPolicy]) -> "Callable[[int], Rows]":
        """What `evaluate` wants: makes so many."""
        return partial(cls, make)

    def __init__(self, make: Callable[[], RowPolicy], rows: int) -> None:
        self._policies = [make() for _ in range(rows)]
        self._envs: list[Any] = [None] * rows

    def begin(self, row: int, env: Any, seed: int) -> None:
        """An episode begins in a row."""
        self._envs[row] = env
        self._policies[row].reset(env, seed)

    def act(self, obs: Tensor) -> NDArray:
        """Ask them one after another."""
        frames = obs.cpu().numpy()
        both = zip(self._policies, self._envs, frames, strict=True)
        return np.stack([policy.act(env, frame, {}) for policy, env, frame in both])


def _action_space(env: Any) -> spaces.Space:
    space: spaces.Space = getattr(env, "single_action_space", env.action_space)
    return space
