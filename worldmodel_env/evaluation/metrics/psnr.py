"""PSNR, one value per frame; means are taken over frames, never over pooled squared errors."""

import numpy as np
import torch

from worldmodel_env.evaluation.metrics.frames import Frames, chunks, paired

PSNR_CAP = 100.0
"""dB; what identical frames are given (theirs is infinite), and no frame more than that."""

_CHUNK = 256


def psnr(a: Frames, b: Frames) -> np.ndarray:
    """Peak signal-to-noise ratio: 10 log10(255^2 / mean squared error over H, W and channels).

    Args:
        a: frames (..., H, W, 3) uint8.
        b: frames of the same shape.

    Returns:
        Decibels (...,) float64 in [0, `PSNR_CAP`].

    Raises:
        InputError: the frames are not uint8 or not of equal shape.
    """
    first, second, lead = paired(a, b)
    values = np.empty(len(first))
    for i, (x, y) in enumerate(chunks(first, second, _CHUNK)):
        error = (x.to(torch.int32) - y).square().double().mean((1, 2, 3))
        ratio = 10 * torch.log10(255.0**2 / error)
        values[i * _CHUNK :][: len(x)] = ratio.clamp(max=PSNR_CAP).cpu().numpy()
    return values.reshape(lead)


def identical(a: Frames, b: Frames) -> np.ndarray:
    """Which pairs of frames (..., H, W, 3) uint8 are equal in every byte: (...,) bool."""
    first, second, lead = paired(a, b)
    return (first == second).all(-1).all(-1).all(-1).cpu().numpy().reshape(lead)
