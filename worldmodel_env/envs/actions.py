"""Actions of a Gymnasium space as the model takes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction
from numpy.typing import NDArray
from torch import Tensor


def action_batch(space: spaces.Space, actions: Sequence[Any] | NDArray) -> NDArray:
    """Lay out N actions of `space`: int64 (N,) if Discrete, int64 or float32 (N, k) otherwise."""
    batch = np.array(actions, np.float32 if isinstance(space, spaces.Box) else np.int64)
    return batch if isinstance(space, spaces.Discrete) else batch.reshape(len(batch), -1)


def one_action(space: spaces.Space, action: Any) -> NDArray:
    """A batch of one action, checked.

    Raises:
        InvalidAction: it is not in the action space.
    """
    if not space.contains(action):
        raise _invalid(action, space)
    return action_batch(space, [action])


def row_actions(
    space: spaces.Space, batched: spaces.Space, actions: Any, ignored: NDArray[np.bool_]
) -> NDArray:
    """A batch of one action per row, checked; rows that are `ignored` may hold anything.

    Args:
        space: of one row.
        batched: of all N.
        actions: N of them: array, sequence or tensor.
        ignored: (N,) rows whose action is not used.

    Raises:
        InvalidAction: the shape, the type, or a row's action is not of the action space.
    """
    array = host_array(actions)
    assert batched.shape is not None  # Discrete, MultiDiscrete and Box all have it
    assert batched.dtype is not None
    if array.shape != batched.shape:
        raise InvalidAction(
            f"the actions have the shape {array.shape}, expected {batched.shape}; give one action "
            f"of {space} per environment."
        )
    if ignored.any():
        array = array.copy()
        array[ignored] = _any_action(space)
    if not (np.can_cast(array.dtype, batched.dtype) and batched.contains(array)):
        for row, action in enumerate(array):
            if not space.contains(action):
                raise _invalid(action, space, f" of environment {row}")
        raise _invalid(array, batched)
    return action_batch(space, array)


def host_array(values: Any) -> NDArray:
    """A numpy array of what users give: an array, a sequence, or a tensor on any device."""
    if isinstance(values, Tensor):
        return values.detach().cpu().numpy()
    try:
        return np.asarray(values)
    except ValueError:
        return np.array(values, object)  # ragged, of which the shape tells


def _any_action(space: spaces.Space) -> Any:
    if isinstance(space, spaces.Box):
        return np.clip(0, space.low, space.high)
    return space.start  # type: ignore[attr-defined]


def _invalid(action: Any, space: spaces.Space, whose: str = "") -> InvalidAction:
    kind = f" ({action.dtype})" if isinstance(action, np.ndarray | np.generic) else ""
    return InvalidAction(
        f"the action {action!r}{kind}{whose} is not in {space}; give one that is, such as "
        "env.action_space.sample()."
    )
