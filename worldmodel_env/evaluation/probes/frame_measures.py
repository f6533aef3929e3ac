"""Measures of frames that need no true frame beside them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

SIDE = 16
"""Pixels along one side of the thumbnails in which frames are looked up."""
NEAR = 10
"""Frames of the same walk this near to a moment are not looked up: they resemble it anyway."""
_CHUNK = 1024


def sharpness(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean absolute Laplacian of the brightness, in [0, 4]: of each frame (..., H, W, 3)."""
    grey = frames.astype(np.float32).mean(-1) / 255
    inner = grey[..., 1:-1, 1:-1]
    around = grey[..., :-2, 1:-1] + grey[..., 2:, 1:-1] + grey[..., 1:-1, :-2] + grey[..., 1:-1, 2:]
    return np.abs(4 * inner - around).mean((-2, -1)).astype(np.float64)


def motion(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean absolute difference in [0, 1] of each pair of frames (..., H, W, 3)."""
    return np.abs(before.astype(np.int16) - after).mean((-3, -2, -1)) / 255


def thumbnails(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Frames (E, H, W, 3) made small and flat: (E, SIDE * SIDE * 3) in [0, 1]."""
    parts = [frames[i : i + _CHUNK] for i in range(0, len(frames), _CHUNK)]
    small = [
        F.adaptive_avg_pool2d(torch.tensor(part).permute(0, 3, 1, 2).float() / 255, SIDE)
        for part in parts
    ]
    return torch.cat(small).flatten(1).numpy()


def nearest(
    frames: NDArray[np.float32],
    moments: NDArray[np.int64],
    bank: NDArray[np.float32],
    bank_moments: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Distance to the most similar frame of a bank.

    Args:
        frames: thumbnails (E, D).
        moments: (E,) when each was.
        bank: thumbnails (M, D).
        bank_moments: (M,) when each was, those within `NEAR` of a frame's moment being left out;
            far below 0 for other walks' frames.

    Returns:
        (E,) root of the mean squared difference, in [0, 1]; infinite if nothing was left.
    """
    found = []
    times = torch.from_numpy(bank_moments)
    for i in range(0, len(frames), _CHUNK):
        rows = slice(i, i + _CHUNK)
        apart = torch.cdist(torch.from_numpy(frames[rows]), torch.from_numpy(bank))
        close = (torch.from_numpy(moments[rows])[:, None] - times).abs() < NEAR
        found.append(apart.masked_fill(close, torch.inf).amin(1))
    return torch.cat(found).double().numpy() / frames.shape[1] ** 0.5


def entropy(counts: NDArray[np.int64]) -> float:
    """Of a histogram (K,), in bits."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())
