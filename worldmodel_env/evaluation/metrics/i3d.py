"""I3D trained on Kinetics-400 (Carreira & Zisserman 2017): the features of the video distances.

The network and weights of the TensorFlow Hub module `deepmind/i3d-kinetics-400/1`, by which FVD was
defined; other conversions of I3D give values that differ by a few tenths of a per cent.
"""

import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.sources import I3D
from worldmodel_env.evaluation.metrics.weights import load

FEATURES = 400
"""Logits of a video: one per Kinetics class, averaged over time."""

MIN_FRAMES = 9
"""Fewer leave less than the two steps of time that the last pooling needs."""

SIZE = 224

_STEM_POOL = ((1, 3, 3), (1, 2, 2))
_STAGES: tuple[tuple[str, tuple[tuple[int, ...], tuple[int, ...]] | None], ...] = (
    # Blocks of four branches in order, each with the pooling before it: (kernel, stride).
    ("3b", _STEM_POOL), ("3c", None),
    ("4b", ((3, 3, 3), (2, 2, 2))), ("4c", None), ("4d", None), ("4e", None), ("4f", None),
    ("5b", ((2, 2, 2), (2, 2, 2))), ("5c", None),
)  # fmt: skip


class I3d(nn.Module):
    """Video to features, frozen, in float32.

    Args:
        weights: the package's `.ckpt` file, if it is kept elsewhere.

    Raises:
        WeightsMissing: the weights are not on this machine.
        InputError: they are not the known ones.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None):
        super().__init__()
        for name, array in load(I3D, weights).items():
            tensor = torch.from_numpy(array)
            if tensor.ndim == 5:
                tensor = tensor.contiguous(memory_format=torch.channels_last_3d)
            self.register_buffer(_attribute(name), tensor, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 400), averaged over time, of videos (B, 3, T, 224, 224) in [-1, 1]."""
        x = x.contiguous(memory_format=torch.channels_last_3d)
        x = self._conv("Conv3d_1a_7x7", x, stride=(2, 2, 2))
        x = _max_pool(x, *_STEM_POOL)
        x = self._conv("Conv3d_2c_3x3", self._conv("Conv3d_2b_1x1", x))
        for stage, pool in _STAGES:
            x = x if pool is None else _max_pool(x, *pool)
            x = self._mixed(f"Mixed_{stage}", x)
        x = F.avg_pool3d(x, (2, 7, 7), stride=1)
        weight, bias = self._weights("Logits/Conv3d_0c_1x1")
        return F.conv3d(x, weight, bias).mean((2, 3, 4))

    @torch.no_grad()
    def features(self, videos: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray:
        """The features of each video, one at a time: memory does not grow with their number.

        Frames are scaled to 224x224 bilinearly without smoothing, then to [-1, 1].

        Args:
            videos: N times (T, H, W, 3) uint8, T >= 9; an array (N, T, H, W, 3) will do.

        Returns:
            (N, 400) float64.

        Raises:
            InputError: a video is not of that kind.
        """
        found = np.empty((len(videos), FEATURES))
        with torch.autocast(self._device.type, enabled=False):
            for i, video in enumerate(videos):
                found[i] = self(self._prepared(video)).squeeze(0).cpu().numpy()
        return found

    @property
    def _device(self) -> torch.device:
        return next(self.buffers()).device

    def _prepared(self, video: NDArray[np.uint8]) -> Tensor:
        if video.dtype != np.uint8 or video.ndim != 4 or video.shape[-1] != 3:
            raise InputError(
                f"FVD got a video that is {video.dtype} {video.shape} where uint8 (T, H, W, 3) was "
                f"expected: convert it to frames first, NaN refused."
            )
        if len(video) < MIN_FRAMES:
            raise InputError(
                f"FVD got videos of {len(video)} frames where at least {MIN_FRAMES} were expected: "
                f"compare longer ones."
            )
        frames = torch.from_numpy(np.require(video, requirements=["C", "W"])).to(self._device)
        images = frames.permute(0, 3, 1, 2).float() / 127.5 - 1
        if images.shape[2:] != (SIZE, SIZE):
            images = F.interpolate(images, (SIZE, SIZE), mode="bilinear", align_corners=False)
        return images.transpose(0, 1)[None]

    def _mixed(self, name: str, x: Tensor) -> Tensor:
        def conv(branch: str, y: Tensor) -> Tensor:
            return self._conv(f"{name}/{branch}", y)

        wide = [conv(f"Branch_{i}/Conv3d_0a_1x1", x) for i in (0, 1, 2)]
        pooled = _max_around(x)
        return torch.cat(
            [
                wide[0],
                conv("Branch_1/Conv3d_0b_3x3", wide[1]),
                conv("Branch_2/Conv3d_0b_3x3", wide[2]),
                conv("Branch_3/Conv3d_0b_1x1", pooled),
            ],
            dim=1,
        )

    def _conv(self, name: str, x: Tensor, stride: tuple[int, ...] = (1, 1, 1)) -> Tensor:
        weight, bias = self._weights(name)
        return F.relu(F.conv3d(_same(x, weight.shape[2:], stride), weight, bias, stride))

    def _weights(self, name: str) -> tuple[Tensor, Tensor]:
        return tuple(self.get_buffer(_attribute(f"{name}.{x}")) for x in ("weight", "bias"))  # type: ignore[return-value]


def _attribute(name: str) -> str:
    return name.replace("/", "_").replace(".", "_")


def _max_pool(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    # Padding with zeros is no larger than anything after a ReLU.
    return F.max_pool3d(_same(x, kernel, stride), kernel, stride)


def _max_around(x: Tensor) -> Tensor:
    """Max-pooling over 3x3x3 at stride 1, an axis at a time: a fifth of the whole time is saved."""
    x = F.pad(x, (1,) * 6)
    for axis in (2, 3, 4):
        n = x.shape[axis] - 2
        left, middle, right = (x.narrow(axis, start, n) for start in range(3))
        x = torch.maximum(torch.maximum(left, middle), right)
    return x


def _same(x: Tensor, kernel: Sequence[int], stride: Sequence[int]) -> Tensor:
    """TensorFlow's padding to ceil(n / stride) outputs: the odd one goes to the end."""
    pads: list[int] = []
    for n, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-n // s) - 1) * s + k - n, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads) if any(pads) else x
