"""What `reset(options=...)` of an imagined environment may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldmodel_env.errors import InputError

KNOWN = ("start", "context")


@dataclass(frozen=True)
class ResetOptions:
    """Checked options.

    Attributes:
        start: index of the start to begin with, or None.
        frames: (C, H, W, 3) uint8, real frames to begin with, or None.
        actions: (C-1, ...), the actions between them.
    """

    start: int | None = None
    frames: NDArray[np.uint8] | None = None
    actions: NDArray | None = None

    @classmethod
    def check(
        cls,
        options: Mapping[str, Any] | None,
        *,
        starts: int,
        observation_space: spaces.Box,
        action_space: spaces.Space,
    ) -> "ResetOptions":
        """Read the options of one reset.

        Raises:
            InputError: an option is unknown or its value unfit.
        """
        options = {} if options is None else options
        unknown = sorted(set(options) - set(KNOWN))
        if unknown:
            raise InputError(
                f"reset option {unknown[0]!r} is unknown; use one of {', '.join(map(repr, KNOWN))}."
            )
        if len(options) > 1:
            raise InputError("reset got both 'start' and 'context'; give one of them.")
        if "start" in options:
            return cls(start=_check_start(options["start"], starts))
        if "context" in options:
            return cls(None, *_check_context(options["context"], observation_space, action_space))
        return cls()


def _check_start(start: Any, starts: int) -> int:
    if not isinstance(start, int | np.integer) or not 0 <= start < starts:
        raise InputError(
            f"reset option 'start' is {start!r}, but this world's starts are 0 to {starts - 1}; "
            "give an int of that range."
        )
    return int(start)


def _check_context(
    context: Any, observation_space: spaces.Box, action_space: spaces.Space
) -> tuple[NDArray[np.uint8], NDArray]:
    if not isinstance(context, tuple | list) or len(context) != 2:
        raise InputError(
            f"reset option 'context' is a {type(context).__name__}, expected a pair; give "
            "(frames, actions)."
        )
    frames, actions = np.asarray(context[0]), np.asarray(context[1])
    shape = observation_space.shape
    if frames.dtype != np.uint8 or frames.shape[1:] != shape or not len(frames):
        raise InputError(
            f"the context's frames are {frames.dtype} {frames.shape}, expected uint8 "
            f"(C, {', '.join(map(str, shape))}) with C of 1 or more; give frames as the "
            "environment returns them."
        )
    assert action_space.shape is not None  # Discrete, MultiDiscrete and Box all have one
    expected = (len(frames) - 1, *action_space.shape)
    if len(frames) == 1 and actions.size == 0:
        return frames, actions.reshape(expected)
    if actions.shape != expected:
        raise InputError(
            f"the context's actions have the shape {actions.shape}, expected {expected}, one "
            f"between each two of the {len(frames)} frames; leave out any that come after the last."
        )
    for index, action in enumerate(actions):
        if not action_space.contains(action):
            raise InputError(
                f"action {index} of the context is {action!r} ({actions.dtype}), which is not in "
                f"{action_space}; give actions of the environment's action space."
            )
    return frames, actions
