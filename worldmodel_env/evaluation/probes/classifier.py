"""A small convolutional classifier of frames, trained on true ones in seconds of one CPU core."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from worldmodel_env.errors import InputError

_WIDTHS = (24, 48, 64)
_BATCH = 64
_PEAK = 3e-3
_CHUNK = 512


@dataclass(frozen=True)
class Classifier:
    """Says which class an example belongs to.

    Attributes:
        net: the trained network.
        classes: how many classes there are.
    """

    net: nn.Module
    classes: int

    @torch.no_grad()
    def predict(self, examples: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The class of each example (E, H, W, C) uint8: (E,)."""
        parts = (examples[i : i + _CHUNK] for i in range(0, len(examples), _CHUNK))
        scores = [self.net(_images(torch.tensor(part))) for part in parts]
        return torch.cat(scores).argmax(1).numpy()


def train_classifier(
    examples: NDArray[np.uint8], labels: NDArray[np.int64], *, steps: int = 400, seed: int = 0
) -> Classifier:
    """Train on true frames.

    Half of the examples are softened and all get noise: imagined frames are less crisp than true
    ones, and a classifier that needs the last pixel would call each of them wrong.

    Args:
        examples: (E, H, W, C) uint8, one frame or several stacked along the channels.
        labels: (E,) from 0.
        steps: optimizer steps of 64 examples.
        seed: of weights, order and noise.

    Raises:
        InputError: fewer than two classes occur.
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise InputError(
            f"A classifier got examples of {len(present)} class(es), where at least two were "
            "expected: give it more, or more varied, episodes."
        )
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in present]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _net(examples.shape[-1], int(present[-1]) + 1)
        optimizer = torch.optim.AdamW(net.parameters(), _PEAK, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK, total_steps=steps)
        for _ in range(steps):
            # Every class as often as the others, however rare it is in the recordings.
            rows = [rng.choice(members[i]) for i in rng.integers(len(present), size=_BATCH)]
            images = _disturbed(_images(torch.from_numpy(examples[rows])))
            loss = F.cross_entropy(net(images), torch.from_numpy(labels[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return Classifier(net.eval().requires_grad_(False), int(present[-1]) + 1)


def _net(channels: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in _WIDTHS:
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.GroupNorm(8, width)]
        layers += [nn.SiLU()]
        channels = width
    pooled = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(channels * 16, classes)]
    return nn.Sequential(*layers, *pooled)


def _images(examples: Tensor) -> Tensor:
    """uint8 (E, H, W, C) -> float (E, C, H, W) in [-1, 1]."""
    return examples.permute(0, 3, 1, 2).float() / 127.5 - 1


def _disturbed(images: Tensor) -> Tensor:
    soft = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, soft, images)
    return images + 0.05 * torch.randn_like(images)
