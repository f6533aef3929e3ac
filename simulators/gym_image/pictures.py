"""Finds the picture in an observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from simulators.frames import Frame

_CHANNELS = (1, 3)
_SMALLEST = 8
"""Sides below this are taken for something else than a picture."""


def find_picture(space: spaces.Space) -> Callable[[Any], Frame] | None:
    """How to get RGB (H, W, 3) from an observation of `space`; None if it holds no single picture.

    A picture is a uint8 Box: (H, W), (H, W, 1), (H, W, 3), (1, H, W) or (3, H, W).
    """
    if isinstance(space, spaces.Dict):
        found = [(key, find_picture(child)) for key, child in space.spaces.items()]
        pictures = [(key, convert) for key, convert in found if convert is not None]
        if len(pictures) != 1:
            return None
        key, convert = pictures[0]
        return lambda observation: convert(observation[key])
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8:
        return None
    if len(space.shape) == 2 and min(space.shape) >= _SMALLEST:
        return lambda observation: np.repeat(observation[..., None], 3, axis=2)
    if len(space.shape) != 3:
        return None
    if space.shape[2] in _CHANNELS and min(space.shape[:2]) >= _SMALLEST:
        grey = space.shape[2] == 1
        return lambda observation: np.repeat(observation, 3, axis=2) if grey else observation
    if space.shape[0] in _CHANNELS and min(space.shape[1:]) >= _SMALLEST:
        grey = space.shape[0] == 1
        return lambda observation: np.repeat(
            np.moveaxis(observation, 0, 2), 3 if grey else 1, axis=2
        )
    return None
