"""Dead reckoning: where each frame was seen from, and attention that goes by it.

A transformer that is told actions only has to add up dozens of turns and steps before it can find
what it saw from here. So poses are added up outside, from what each action does by itself, and
every head learns how much it looks at a frame by where that lies as seen from the pose asked about
(a bias to its scores, as ALiBi's and T5's are for distances in time):

    score(asked, seen) = q k / sqrt(d) + W features(where `seen` lies as seen from `asked`)

Poses count from wherever an episode or a clip began: only their differences reach the model. A
world whose frames show no change was stopped by a wall, and its pose stays.
"""

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor, nn

Motion = tuple[float, float, float]
"""What an action does where nothing is in the way: circles turned, counter-clockwise, then steps
ahead and to the left, the longest action's being 1."""

MOVED = 1 / 8
"""Least share of a frame's codes that a step forward changes. Of 1,411 steps in SimMaze-v0 that
moved by anything, the least changed a quarter; of 452 into walls, none changed any."""

HARMONICS = 4
"""Of the difference of headings: a sixteenth of a circle is told from its neighbours."""

RANGES = (1.0, 3.0, 8.0)
"""Standard deviations, in steps, within which a frame counts as seen from here."""

FEATURES = (1 + 2 * HARMONICS) * (1 + len(RANGES)) + 2 * len(RANGES)


@dataclass(frozen=True)
class Path:
    """Poses (B, T, 3) float32 of T frames: x and y in steps, heading in circles from 0 to 1.

    Attributes:
        seen: from where each frame was seen.
        asked: where the action after it leads, if nothing is in the way: from where the frame to
            come will be seen.
    """

    seen: Tensor
    asked: Tensor

    @classmethod
    def standing(cls, pose: Tensor) -> "Path":
        """Of one frame, seen from `pose` (B, 3), after which nothing moves."""
        return cls(pose[:, None], pose[:, None])

    def after(self, other: "Path") -> "Path":
        """The frames of `other`, then these."""
        both = ((other.seen, self.seen), (other.asked, self.asked))
        return Path(*(torch.cat(pair, 1) for pair in both))


def origin(like: Tensor) -> Tensor:
    """The poses (B, 3) that others are counted from, for the rows of `like` (B, ...)."""
    return torch.zeros(like.shape[0], 3, device=like.device)


def moved(pose: Tensor, motion: Tensor) -> Tensor:
    """Poses (..., 3) after motions (..., 3)."""
    heading = torch.remainder(pose[..., 2] + motion[..., 0], 1.0)
    way = _way(heading, motion)
    return torch.cat([pose[..., :2] + way, heading[..., None]], -1)


def stopped(motion: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Motions (..., 3) without the steps that a wall prevented, by codes (..., 2g, 2g)."""
    changed = (before != after).flatten(-2).float().mean(-1, keepdim=True) >= MOVED
    return torch.cat([motion[..., :1], motion[..., 1:] * changed], -1)


def reckoned(start: Tensor, motions: Tensor) -> Tensor:
    """Poses (B, T+1, 3): `start` (B, 3) and those after each of the motions (B, T, 3)."""
    first = start[:, None]
    turned = first[..., 2] + motions[..., 0].cumsum(1)
    heading = torch.remainder(turned, 1.0)
    place = first[..., :2] + _way(heading, motions).cumsum(1)
    return torch.cat([first, torch.cat([place, heading[..., None]], -1)], 1)


def _way(heading: Tensor, motion: Tensor) -> Tensor:
    """Headings (...) and the motions (..., 3) that led to them -> x and y (..., 2) of the steps."""
    cos, sin = (2 * pi * heading).cos(), (2 * pi * heading).sin()
    _, ahead, left = motion.unbind(-1)
    return torch.stack([ahead * cos - left * sin, ahead * sin + left * cos], -1)


def features(asked: Tensor, seen: Tensor) -> Tensor:
    """Where poses lie as seen from others: (B, N, 3) and (B, M, 3) -> (B, N, M, FEATURES).

    Harmonics of the difference of headings, each with how near the places are; and, of near places,
    how far ahead and to the left they are.
    """
    x, y, turn = (seen[:, None] - asked[:, :, None]).unbind(-1)
    heading = 2 * pi * asked[:, :, None, 2]
    cos, sin = heading.cos(), heading.sin()
    ahead, left = x * cos + y * sin, y * cos - x * sin
    square = x * x + y * y
    near = [torch.exp(square * (-0.5 / r**2)) for r in RANGES]
    angles = [2 * pi * n * turn for n in range(1, HARMONICS + 1)]
    one = torch.ones_like(turn)
    headings = torch.stack([one, *(a.cos() for a in angles), *(a.sin() for a in angles)], -1)
    places = torch.stack([one, *near], -1)
    sides = [g * way / r for g, r in zip(near, RANGES, strict=True) for way in (ahead, left)]
    products = (headings[..., :, None] * places[..., None, :]).flatten(-2)
    return torch.cat([products, torch.stack(sides, -1)], -1)


class PoseBias(nn.Module):
    """What a layer's heads add to their scores, for each of a frame's S tokens towards each.

    Zero at first: a world that is given it goes on as it was.
    """

    def __init__(self, heads: int, tokens: int) -> None:
        """`tokens`: S, of a frame."""
        super().__init__()
        self.heads, self.tokens = heads, tokens
        self.weight = nn.Parameter(torch.zeros(heads * tokens * tokens, FEATURES))

    def forward(self, relation: Tensor) -> Tensor:
        """`features` (B, N, M, F) -> (B, heads, N*S, M*S)."""
        s = self.tokens
        bias = nn.functional.linear(relation.to(self.weight.dtype), self.weight)
        bias = bias.unflatten(-1, (self.heads, s, s)).permute(0, 3, 1, 4, 2, 5)
        return bias.flatten(4, 5).flatten(2, 3)
