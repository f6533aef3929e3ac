"""What `reset(options=...)` of an imagined environment may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World

KNOWN = ("start", "context", "unconditional")


@dataclass(frozen=True)
class Beginning:
    """How N episodes begin; without any of these with starts that chance picks.

    Attributes:
        starts: (N,) int64, indices of the starts.
        frames: (N, C, H, W, 3) uint8, real frames.
        actions: (N, C-1, ...), the actions between them.
        unconditional: with frames that the model imagines out of nothing.
    """

    starts: NDArray[np.int64] | None = None
    frames: NDArray[np.uint8] | None = None
    actions: NDArray | None = None
    unconditional: bool = False

    def part(self, rows: slice) -> "Beginning":
        """How some of the episodes begin."""
        return Beginning(
            None if self.starts is None else self.starts[rows],
            None if self.frames is None else self.frames[rows],
            None if self.actions is None else self.actions[rows],
            self.unconditional,
        )


def beginning(options: Mapping[str, Any], world: World, rows: int | None) -> Beginning:
    """Read the options of one reset.

    Args:
        options: as given by the user.
        world: what is to be imagined.
        rows: N of a vector environment, of which each row may have its own start or context; None
            for a single one.

    Raises:
        InputError: an option is unknown or its value unfit.
    """
    unknown = sorted(map(str, set(options) - set(KNOWN)))
    if unknown:
        raise InputError(
            f"reset option {unknown[0]!r} is unknown; use one of {', '.join(map(repr, KNOWN))}."
        )
    if len(options) > 1:
        raise InputError(f"reset got {' and '.join(map(repr, options))}; give one of them.")
    if "start" in options:
        return Beginning(starts=_starts(options["start"], rows, len(world.starts)))
    if "context" in options:
        spaces = world.observation_space, world.action_space
        frames, actions = _context(options["context"], rows, *spaces)
        return Beginning(frames=frames, actions=actions)
    unconditional = options.get("unconditional", False)
    if not isinstance(unconditional, bool | np.bool_):
        raise InputError(
            f"reset option 'unconditional' is {unconditional!r}; give True, or leave it out."
        )
    if unconditional and not world.config.teco.first_frame:
        raise InputError(
            f"reset option 'unconditional' is True, but world {world.name!r} has not learned to "
            "imagine first frames; begin with one of its starts or with a context."
        )
    return Beginning(unconditional=bool(unconditional))


def reset_mask(mask: Any, rows: int) -> NDArray[np.bool_]:
    """Check the option 'reset_mask' of vector environments: which rows begin anew.

    Raises:
        InputError: it is not a boolean array (N,) with at least one True.
    """
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (rows,):
        kind = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else repr(mask)
        raise InputError(
            f"reset option 'reset_mask' is {kind}; give a numpy array of bool with the shape "
            f"({rows},)."
        )
    if not mask.any():
        raise InputError("reset option 'reset_mask' is False everywhere; give at least one True.")
    return mask


def _starts(given: Any, rows: int | None, starts: int) -> NDArray[np.int64]:
    whole = "an int" if rows is None else f"an int or {rows} of them"
    array = np.asarray(given)
    shapes = [()] if rows is None else [(), (rows,)]
    fits = array.shape in shapes and array.dtype.kind in "iu"
    if not fits or array.min() < 0 or array.max() >= starts:
        raise InputError(
            f"reset option 'start' is {given!r}, but this world's starts are 0 to {starts - 1}; "
            f"give {whole} of that range."
        )
    return np.broadcast_to(array.astype(np.int64), (rows or 1,))


def _context(
    context: Any, rows: int | None, observation_space: spaces.Box, action_space: spaces.Space
) -> tuple[NDArray[np.uint8], NDArray]:
    if not isinstance(context, tuple | list) or len(context) != 2:
        raise InputError(
            f"reset option 'context' is a {type(context).__name__}, expected a pair; give "
            "(frames, actions)."
        )
    frames, actions = np.asarray(context[0]), np.asarray(context[1])
    own = rows is not None and frames.ndim == 5
    lead = (rows,) if own else ()
    length = frames.shape[len(lead)] if frames.ndim > len(lead) else 0
    shape = observation_space.shape
    if frames.dtype != np.uint8 or frames.shape != (*lead, length, *shape) or not length:
        batched = "" if rows is None else f", or one for each: ({rows}, C, ...)"
        raise InputError(
            f"the context's frames are {frames.dtype} {frames.shape}, expected uint8 "
            f"(C, {', '.join(map(str, shape))}) with C of 1 or more{batched}; give frames as the "
            "environment returns them."
        )
    assert action_space.shape is not None  # Discrete, MultiDiscrete and Box all have one
    expected = (*lead, length - 1, *action_space.shape)
    if length == 1 and actions.size == 0:
        actions = actions.reshape(expected)
    elif actions.shape != expected:
        raise InputError(
            f"the context's actions have the shape {actions.shape}, expected {expected}, one "
            f"between each two of the {length} frames; leave out any that come after the last."
        )
    for index, action in enumerate(actions.reshape(-1, *action_space.shape)):
        if not action_space.contains(action):
            raise InputError(
                f"action {index} of the context is {action!r} ({actions.dtype}), which is not in "
                f"{action_space}; give actions of the environment's action space."
            )
    if own:
        return frames, actions
    count = rows or 1
    return (
        np.broadcast_to(frames, (count, *frames.shape)),
        np.broadcast_to(actions, (count, *actions.shape)),
    )
