"""Dead reckoning: poses added up from what each action does by itself.

Poses count from wherever an episode or a clip began: only their differences matter. What walls take
from steps is in `models/odometer.py`.
"""

from math import pi

import torch
from torch import Tensor

Motion = tuple[float, float, float]
"""What an action does where nothing is in the way: circles turned, counter-clockwise, then steps
ahead and to the left, the longest action's being 1."""

HARMONICS = 4
"""Of the difference of headings: a sixteenth of a circle is told from its neighbours."""

RANGES = (1.0, 3.0, 8.0)
"""Standard deviations, in steps, within which a frame counts as seen from here."""

SIDES = 2 * len(RANGES)
"""Features that tell ahead from behind and left from right."""

FEATURES = (1 + 2 * HARMONICS) * (1 + len(RANGES)) + SIDES


def origin(like: Tensor) -> Tensor:
    """The poses (B, 3) that others are counted from, for the rows of `like` (B, ...)."""
    return torch.zeros(like.shape[0], 3, device=like.device)


def moved(pose: Tensor, motion: Tensor) -> Tensor:
    """Poses (..., 3), x and y in steps, heading in circles from 0 to 1, after motions (..., 3)."""
    heading = torch.remainder(pose[..., 2] + motion[..., 0], 1.0)
    way = _way(heading, motion)
    return torch.cat([pose[..., :2] + way, heading[..., None]], -1)


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
