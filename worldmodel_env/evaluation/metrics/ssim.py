"""SSIM (Wang et al. 2004) with the paper's window, over the region where the window fits.

Equal to scikit-image's `structural_similarity(gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=255, channel_axis=-1)`: an 11x11 Gaussian, no padding, the
mean over the map and over the three colour channels.
"""

import numpy as np
import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.frames import Frames, chunks, paired

_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_CHUNK = 32


def ssim(a: Frames, b: Frames) -> np.ndarray:
    """Structural similarity of each pair of frames.

    Args:
        a: frames (..., H, W, 3) uint8, at least 11x11 pixels.
        b: frames of the same shape.

    Returns:
        Similarities (...,) float64 in [-1, 1]; 1 for identical frames.

    Raises:
        InputError: the frames are not uint8, not of equal shape, or too small.
    """
    first, second, lead = paired(a, b)
    height, width = first.shape[1:3]
    if min(height, width) < _WINDOW:
        raise InputError(
            f"SSIM got frames of {height}x{width} pixels where at least {_WINDOW}x{_WINDOW} was "
            f"expected, the size of its window: use larger frames."
        )
    rows, columns = _blur(height, first.device), _blur(width, first.device).T
    values = np.empty(len(first))
    for i, (u, v) in enumerate(chunks(first, second, _CHUNK)):
        x, y = (t.permute(0, 3, 1, 2).double() for t in (u, v))
        # Five local means in one product: float64 because variances are differences of squares.
        maps = rows @ torch.stack((x, y, x * x, y * y, x * y)) @ columns
        values[i * _CHUNK :][: len(u)] = _similarity(*maps).mean((1, 2, 3)).cpu().numpy()
    return values.reshape(lead)


def _similarity(x: Tensor, y: Tensor, xx: Tensor, yy: Tensor, xy: Tensor) -> Tensor:
    """The map of equation 13 from the local means of x, y, x², y² and xy."""
    contrast = (2 * (xy - x * y) + _C2) / (xx - x * x + yy - y * y + _C2)
    return contrast * (2 * x * y + _C1) / (x * x + y * y + _C1)


def _blur(size: int, device: torch.device) -> Tensor:
    """The Gaussian as a banded matrix (size - 10, size): each row is the window at one place."""
    offsets = torch.arange(_WINDOW, dtype=torch.float64, device=device) - _WINDOW // 2
    window = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
    matrix = torch.zeros(size - _WINDOW + 1, size, dtype=torch.float64, device=device)
    for row in range(len(matrix)):
        matrix[row, row : row + _WINDOW] = window / window.sum()
    return matrix
