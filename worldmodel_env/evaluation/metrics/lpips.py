"""LPIPS v0.1 (Zhang et al. 2018, arXiv 1801.03924): a distance between deep features.

Both images go through a network trained on ImageNet. At five depths its features are normalised to
unit length over channels, subtracted, squared, weighted by a learned head and averaged over space;
the five averages are added (equation 1).
"""

import os
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.frames import Frames, chunks, paired
from worldmodel_env.evaluation.metrics.sources import LPIPS
from worldmodel_env.evaluation.metrics.weights import load

Net = Literal["alex", "vgg"]

# Per convolution: stride, padding, max-pooling window before it (stride 2; 0: none), compared.
_ALEX = ((4, 2, 0, True), (1, 2, 3, True), (1, 1, 3, True), (1, 1, 0, True), (1, 1, 0, True))
_VGG = tuple(
    (1, 1, 2 if first and block else 0, last)
    for block, depth in enumerate((2, 2, 3, 3, 3))
    for first, last in ((i == 0, i == depth - 1) for i in range(depth))
)
_LAYERS = {"alex": _ALEX, "vgg": _VGG}
_SMALLEST = {"alex": 31, "vgg": 16}  # pixels that leave at least one feature at the last depth

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_EPSILON = 1e-8


class Lpips(nn.Module):
    """LPIPS as a metric (`distance`, on frames) and as a loss (the module itself, on tensors).

    The weights are frozen and no part of `state_dict`. Images are compared at the size they have:
    64x64 ones are not enlarged first. Usable under autocast; what follows the convolutions is
    computed in float32.

    Args:
        net: "alex" (usual for evaluation) or "vgg" (the VQ-GAN's loss, 20 times dearer); a value
            of one says nothing beside a value of the other.
        weights: the package's `.ckpt` file for this net, if it is kept elsewhere.

    Raises:
        WeightsMissing: the weights are not on this machine.
        InputError: the net is unknown, or the weights are not the known ones.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Net, weights: str | os.PathLike[str] | None = None):
        super().__init__()
        if net not in LPIPS:
            raise InputError(f"LPIPS network {net!r} is unknown: use one of {', '.join(LPIPS)}.")
        for name, array in load(LPIPS[net], weights).items():
            self.register_buffer(name.replace(".", "_"), torch.from_numpy(array), persistent=False)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(3, 1, 1), persistent=False)
        self.net = net

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The distance of each pair, differentiable in both.

        Args:
            x: images (B, 3, H, W), float in [-1, 1].
            y: images of the same shape; costs less when it needs no gradient.

        Returns:
            Distances (B,) float32, 0 or more; 0 for equal images.

        Raises:
            InputError: the shapes differ, are not (B, 3, H, W), or are too small for the net.
        """
        if x.shape != y.shape or x.ndim != 4 or x.shape[1] != 3:
            raise InputError(
                f"LPIPS got images of shapes {tuple(x.shape)} and {tuple(y.shape)} where two equal "
                f"(B, 3, H, W) were expected: put channels first and cut both alike."
            )
        if min(x.shape[2:]) < (smallest := _SMALLEST[self.net]):
            raise InputError(
                f"LPIPS ({self.net}) got images of {x.shape[2]}x{x.shape[3]} pixels where at "
                f"least {smallest}x{smallest} was expected: use larger frames."
            )
        total = torch.zeros(len(x), device=x.device)
        for i, (u, v) in enumerate(zip(self._features(x), self._features(y), strict=True)):
            difference = (_unit(u) - _unit(v)).square()
            # The head is linear, so averaging over space first gives the same and costs less.
            total = total + (difference.mean((2, 3)) * self.get_buffer(f"head{i}_weight")).sum(1)
        return total

    @torch.no_grad()
    def distance(self, a: Frames, b: Frames, batch_size: int = 32) -> np.ndarray:
        """The distance of each pair of frames.

        Args:
            a: frames (..., H, W, 3) uint8.
            b: frames of the same shape.
            batch_size: pairs per pass through the network.

        Returns:
            Distances (...,) float64.

        Raises:
            InputError: the frames are not uint8, not of equal shape, or too small for the net.
        """
        first, second, lead = paired(a, b)
        values = np.empty(len(first))
        # A measurement must not depend on the precision of the training around it.
        with torch.autocast(self.shift.device.type, enabled=False):
            for i, (x, y) in enumerate(chunks(first, second, batch_size)):
                distances = self(self._images(x), self._images(y))
                values[i * batch_size :][: len(x)] = distances.cpu().numpy()
        return values.reshape(lead)

    def _images(self, frames: Tensor) -> Tensor:
        """uint8 (B, H, W, 3) to float (B, 3, H, W) in [-1, 1]."""
        return frames.to(self.shift.device).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _features(self, x: Tensor) -> list[Tensor]:
        x = ((x - self.shift) / self.scale).contiguous(memory_format=torch.channels_last)
        kept = []
        for i, (stride, padding, pool, compared) in enumerate(_LAYERS[self.net]):
            if pool:
                x = F.max_pool2d(x, pool, stride=2)
            weight, bias = self.get_buffer(f"conv{i}_weight"), self.get_buffer(f"conv{i}_bias")
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            if compared:
                kept.append(x)
        return kept


def _unit(features: Tensor) -> Tensor:
    # Epsilon inside the root: outside it, a pixel whose features are all zero has a NaN gradient.
    features = features.float()
    return features / (features.square().sum(1, keepdim=True) + _EPSILON).sqrt()
