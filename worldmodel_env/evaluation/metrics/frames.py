"""What every metric accepts: two equal batches of uint8 frames."""

from collections.abc import Iterator

import numpy as np
import torch

from worldmodel_env.errors import InputError

Frames = np.ndarray | torch.Tensor


def paired(a: Frames, b: Frames) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]:
    """Check two batches of frames against each other and flatten their leading axes.

    Args:
        a: frames (..., H, W, 3) uint8, on any device.
        b: frames of the same shape.

    Returns:
        Both as uint8 tensors (N, H, W, 3) on `a`'s device, and the leading shape (...).

    Raises:
        InputError: not uint8, not (..., H, W, 3), or of different shapes.
    """
    for name, frames in (("first", a), ("second", b)):
        if str(frames.dtype) not in ("uint8", "torch.uint8"):
            raise InputError(
                f"The {name} frames are {frames.dtype} where uint8 was expected: convert [-1, 1] "
                f"with `((x + 1) * 127.5).round().clip(0, 255)`, NaN refused, before measuring."
            )
        if frames.ndim < 3 or frames.shape[-1] != 3 or 0 in frames.shape[-3:]:
            raise InputError(
                f"The {name} frames have shape {tuple(frames.shape)} where (..., H, W, 3) was "
                f"expected: move the channels last."
            )
    if tuple(a.shape) != tuple(b.shape):
        raise InputError(
            f"The frames compared have shapes {tuple(a.shape)} and {tuple(b.shape)}, where equal "
            f"ones were expected: cut both to the same episodes and horizons."
        )
    lead, frame = tuple(a.shape[:-3]), tuple(a.shape[-3:])
    first = _tensor(a).reshape(-1, *frame)
    return first, _tensor(b).to(first.device).reshape(-1, *frame), lead


def chunks(
    a: torch.Tensor, b: torch.Tensor, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The same `size` frames of both at a time, so that memory does not grow with their number."""
    for start in range(0, len(a), size):
        yield a[start : start + size], b[start : start + size]


def _tensor(frames: Frames) -> torch.Tensor:
    # Broadcast, reversed and read-only arrays are fine to measure but not to share with torch.
    if isinstance(frames, np.ndarray):
        return torch.from_numpy(np.require(frames, requirements=["C", "W"]))
    return frames
