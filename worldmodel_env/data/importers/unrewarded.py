"""Episodes of sets that have frames but no rewards."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.episode import Episode


def unrewarded(
    frames: NDArray[np.uint8],
    actions: NDArray[Any],
    attributes: Mapping[str, Any],
    pose: NDArray[np.float32] | None = None,
) -> Episode:
    """An episode whose rewards are zero and which nothing but its length ends.

    Args:
        frames: (T+1, H, W, 3) uint8.
        actions: (T,) or (T, k).
        attributes: as `Episode` has them.
        pose: (T+1, 3) float32 or None.
    """
    steps = len(actions)
    return Episode(
        observations=frames,
        actions=actions,
        rewards=np.zeros(steps, np.float32),
        terminations=np.zeros(steps, np.bool_),
        truncations=np.arange(steps) == steps - 1,
        pose=pose,
        attributes=attributes,
    )
