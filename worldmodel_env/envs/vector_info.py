"""Gymnasium's layout of a vector environment's `info`: arrays, each with a mask of its rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def vector_info(values: dict[str, NDArray], rows: NDArray[np.bool_]) -> dict[str, Any]:
    """What some rows of (N,) arrays hold, as `VectorEnv._add_info` would have gathered it.

    Args:
        values: name -> (N,) array.
        rows: (N,) which rows have these; the others become 0.

    Returns:
        For each name the array and, as `_name`, its mask; nothing at all without rows.
    """
    if not rows.any():
        return {}
    info: dict[str, Any] = {}
    for name, array in values.items():
        info[name] = np.where(rows, array, array.dtype.type(0))
        info[f"_{name}"] = rows.copy()
    return info
