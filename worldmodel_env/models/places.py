"""Dead reckoning, and frames recalled by the place they were seen from.

A transformer that is told actions only has to add up dozens of turns and steps before it can find
what it saw from here, and at small budgets never learns to. So poses are added up outside, from
what each action does by itself; and each of a few heads looks up remembered frames, weighted by how
their poses lie towards the one that the action leads to:

    recalled(asked) = sum over seen of frame(seen) w,   w = exp(s) / (1 + sum of exp(s))
    s = W features(where `seen` lies as seen from `asked`)

At first W looks for the same view, exactly or from nearby, and for the views a turn or two beside
it. Where there is none the weights come to nothing: hence the 1.

Poses count from wherever an episode or a clip began: only their differences matter. A world whose
frames show no change was stopped by a wall, and its pose stays.
"""

from math import pi

import torch
from torch import Tensor, nn

Motion = tuple[float, float, float]
"""What an action does where nothing is in the way: circles turned, counter-clockwise, then steps
ahead and to the left, the longest action's being 1."""

MOVED = 1 / 8
"""Least share of a frame's codes that a step changes. Of 1,611 steps in SimMaze-v0 that moved by
anything, the least changed a quarter; of 452 into walls, none changed any."""

HARMONICS = 4
"""Of the difference of headings: a sixteenth of a circle is told from its neighbours."""

RANGES = (1.0, 3.0, 8.0)
"""Standard deviations, in steps, within which a frame counts as seen from here."""

SIDES = 2 * len(RANGES)
"""Features that tell ahead from behind and left from right."""

FEATURES = (1 + 2 * HARMONICS) * (1 + len(RANGES)) + SIDES

AIMS = ((0, 0), (0, 1), (1, 0), (-1, 0), (2, 0), (-2, 0))
"""Of each untrained head: the view so many sixteenths of a circle beside the one asked about, from
within which of `RANGES`."""

HEADS = len(AIMS)

AIM = 2.0
"""Of untrained weights: a frame that fits scores 4, others 0 to -7, those far away -6."""


def origin(like: Tensor) -> Tensor:
    """The poses (B, 3) that others are counted from, for the rows of `like` (B, ...)."""
    return torch.zeros(like.shape[0], 3, device=like.device)


def moved(pose: Tensor, motion: Tensor) -> Tensor:
    """Poses (..., 3), x and y in steps, heading in circles from 0 to 1, after motions (..., 3)."""
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


def held(count: Tensor, slots: int) -> Tensor:
    """Number of the frame in each slot (B, R) of a ring after `count` (B,) frames, or below 0."""
    newest = count[:, None] - 1
    return newest - (newest - torch.arange(slots, device=count.device)) % slots


def written(old: Tensor, new: Tensor, count: Tensor) -> Tensor:
    """A ring after T frames more.

    Args:
        old: (B, R, ...) after `count` frames.
        new: (B, T, ...).
        count: (B,) int64.
    """
    frames = new.shape[1]
    source = held(count + frames, old.shape[1]) - count[:, None]  # below 0: not among the new ones
    source = source.view(*source.shape, *[1] * (old.ndim - 2))
    if frames > 1:
        new = new.gather(1, source.clamp_min(0).expand_as(old))
    return torch.where(source >= 0, new, old)


class Recall(nn.Module):
    """What heads recall of remembered frames, and how sure each is."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(_aims())

    def forward(self, asked: Tensor, seen: Tensor, known: Tensor, frames: Tensor) -> Tensor:
        """Look up frames by place.

        Args:
            asked: (B, N, 3) poses.
            seen: (B, M, 3) poses of the remembered frames.
            known: (B, N, M) or (B, 1, M) bool: which of them may be recalled.
            frames: (B, M, E, h, w) their code vectors.

        Returns:
            (B, N, HEADS * (E + 1), h, w): each head's mean vectors, and the sum of its weights.
        """
        scores = features(asked, seen) @ self.weight.float().T
        scores = scores.masked_fill(~known[..., None], -torch.inf)  # (B, N, M, HEADS)
        least = scores.amax(2, keepdim=True).clamp_min(0)
        weight = (scores - least).exp()
        weight = weight / (weight.sum(2, keepdim=True) + (-least).exp())
        weight = weight.transpose(2, 3).to(frames.dtype)  # (B, N, HEADS, M)
        found = (weight.flatten(1, 2) @ frames.flatten(2)).unflatten(1, weight.shape[1:3])
        found = found.unflatten(3, frames.shape[2:])
        sure = weight.sum(-1)[..., None, None, None].expand(-1, -1, -1, 1, *frames.shape[3:])
        return torch.cat([found, sure], 3).flatten(2, 3)


def _aims() -> Tensor:
    """What heads look for before they are trained: (HEADS, FEATURES)."""
    weight = torch.zeros(HEADS, 1 + 2 * HARMONICS, 1 + len(RANGES))
    harmonics = torch.arange(1, HARMONICS + 1)
    for head, (aside, reach) in enumerate(AIMS):
        angle = 2 * pi * harmonics * aside / (4 * HARMONICS)
        weight[head, :, 1 + reach] = AIM * torch.cat([torch.ones(1), angle.cos(), angle.sin()])
        weight[head, 0, 0] = -AIM * (HARMONICS - 1)
    return torch.cat([weight.flatten(1), torch.zeros(HEADS, SIDES)], 1)
