"""Actions of a Gymnasium space as the model takes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


def action_batch(space: spaces.Space, actions: Sequence[Any] | NDArray) -> NDArray:
    """Lay out N actions of `space`: int64 (N,) if Discrete, int64 or float32 (N, k) otherwise."""
    batch = np.array(actions, np.float32 if isinstance(space, spaces.Box) else np.int64)
    return batch if isinstance(space, spaces.Discrete) else batch.reshape(len(batch), -1)
