"""Dead reckoning: where each frame was seen from, and recall by place.

A transformer that is told actions only has to add up dozens of turns and steps before it can find
what it saw from here, and at small budgets never learns to. So poses are added up outside, from
what each action does by itself; and each head reads its values a second time, weighted by how the
poses lie instead of by what the frames show:

    recalled(asked) = sum over seen of v(seen) exp(s) / (1 + sum of exp(s))
    s = W features(where `seen` lies as seen from `asked`)

At first W looks for frames seen from the pose asked about, or a turn beside it, from the same place
or nearby. Where there is none the weights come to nothing: hence the 1.

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

SIDES = 2 * len(RANGES)
"""Features that tell ahead from behind and left from right."""

FEATURES = (1 + 2 * HARMONICS) * (1 + len(RANGES)) + SIDES

AIM = 2.0
"""Of untrained weights: a frame that fits scores 4, others -3 to -8, those far away -6."""


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


class Recall(nn.Module):
    """By how much a layer's heads recall each of a frame's S tokens for each of another's."""

    def __init__(self, heads: int, tokens: int) -> None:
        """`tokens`: S, of a frame."""
        super().__init__()
        self.heads, self.tokens = heads, tokens
        self.weight = nn.Parameter(_aims(heads, tokens).flatten(0, 2))

    def forward(self, relation: Tensor) -> Tensor:
        """`features` (B, N, M, F) -> scores (B, heads, N*S, M*S)."""
        s = self.tokens
        scores = nn.functional.linear(relation.to(self.weight.dtype), self.weight)
        scores = scores.unflatten(-1, (self.heads, s, s)).permute(0, 3, 1, 4, 2, 5)
        return scores.flatten(4, 5).flatten(2, 3)


def recalled(scores: Tensor, mask: Tensor, values: Tensor) -> Tensor:
    """Values by place: scores (B, h, N, M), who may be seen, values (B, h, M, d) -> (B, h, N, d).

    As a softmax beside a score of 0 whose value is nothing.
    """
    scores = scores.float().masked_fill(~mask, -torch.inf)
    least = scores.amax(-1, keepdim=True).clamp_min(0)
    weight = (scores - least).exp()
    weight = weight / (weight.sum(-1, keepdim=True) + (-least).exp())
    return weight.to(values.dtype) @ values


def _aims(heads: int, tokens: int) -> Tensor:
    """What heads look for before they are trained (heads, S, S, FEATURES).

    Even ones want the same view, token by token, others that of a turn to the left or right; the
    first half of them the same place, the others one nearby.
    """
    weight = torch.zeros(heads, tokens, tokens, 1 + 2 * HARMONICS, 1 + len(RANGES))
    harmonics = torch.arange(1, HARMONICS + 1)
    for head in range(heads):
        aside = 0 if head % 2 == 0 else 2 - head % 4  # turns of a sixteenth: 0, or 1 and -1
        angle = 2 * pi * harmonics * aside / (4 * HARMONICS)
        near = 1 + (2 * head >= heads)
        weight[head, :, :, :, near] = AIM * torch.cat([torch.ones(1), angle.cos(), angle.sin()])
        weight[head, :, :, 0, 0] = -AIM * (HARMONICS - 1)
        if not aside:
            weight[head, :, :, 0, 0] -= 2 * AIM * (1 - torch.eye(tokens))
    return torch.cat([weight.flatten(-2), torch.zeros(heads, tokens, tokens, SIDES)], -1)
