"""How far a picture moved sideways between two frames: what a turn does to a view."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_CHUNK = 512
_FLAT = 1e-3
"""Product of norms under which there is nothing to correlate but rounding."""
_WEIGHTS = (0.299, 0.587, 0.114)  # of R, G and B in brightness


def image_shift(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The shift at which two frames agree best.

    For every shift of up to half the width the overlapping columns are correlated (Pearson); the
    largest correlation wins, of equals the smallest shift. Phase correlation would assume that the
    picture wraps round, and a turn brings in up to half a new one.

    Args:
        before: (E, H, W, 3).
        after: (E, H, W, 3).

    Returns:
        (E,) pixels; positive where the picture moved to the right (the camera turned left).
    """
    found = []
    for start in range(0, len(before), _CHUNK):
        a, b = (_grey(frames[start : start + _CHUNK]) for frames in (before, after))
        found.append(_best(a, b))
    return torch.cat(found).numpy() if found else np.zeros(0, np.int64)


def _best(a: Tensor, b: Tensor) -> Tensor:
    width = a.shape[-1]
    reach = width // 2
    shifts = sorted(range(-reach, reach + 1), key=abs)
    scores = []
    for shift in shifts:
        kept = width - abs(shift)
        first = a[..., max(0, -shift) : max(0, -shift) + kept]
        second = b[..., max(0, shift) : max(0, shift) + kept]
        scores.append(_correlation(first, second))
    return torch.tensor(shifts)[torch.stack(scores).argmax(0)]


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (x.flatten(1) - x.flatten(1).mean(1, keepdim=True) for x in (a, b))
    sizes = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(sizes > _FLAT, (a * b).sum(1) / sizes.clamp_min(_FLAT), 0.0)


def _grey(frames: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(frames).float() @ torch.tensor(_WEIGHTS) / 255
