"""Frames as people look at them."""

import math

import numpy as np
from numpy.typing import NDArray

SIDE = 192
"""Frames are enlarged to at least this many pixels a side, as SimMaze-v0's are."""


def enlarged(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) with every pixel a square of pixels."""
    factor = math.ceil(SIDE / frame.shape[0])
    return frame.repeat(factor, 0).repeat(factor, 1)
