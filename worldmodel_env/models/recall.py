"""Frames recalled by the place they were seen from.

A transformer that is told actions only has to add up dozens of turns and steps before it can find
what it saw from here, and at small budgets never learns to. So poses are added up outside
(`models/places.py`, `models/odometer.py`); and each of a few heads looks up remembered frames,
weighted by how their poses lie towards the one that the action leads to:

    recalled(asked) = sum over seen of frame(seen) w,   w = exp(s) / (1 + sum of exp(s))
    s = W features(where `seen` lies as seen from `asked`)

At first W looks for the same view, exactly or from nearby, and for the views a turn or two beside
it. Where there is none the weights come to nothing: hence the 1.
"""

from collections.abc import Callable, Sequence
from math import pi

import torch
from torch import Tensor, nn

from worldmodel_env.models.odometer import Odometer, travelled
from worldmodel_env.models.places import (
    HARMONICS,
    RANGES,
    SIDES,
    Motion,
    features,
    moved,
    origin,
    reckoned,
)

Vectors = Callable[[Tensor], Tensor]
"""Codes (B, 2g, 2g) -> their vectors (B, E, 2g, 2g)."""

Memory = dict[str, Tensor]
"""views: (B, R, 2g, 2g) int64, codes of the last R frames, a ring; places: (B, R, 3) float32, the
poses that they were seen from; recalled: (B,) int64, frames that the ring has been given; pose:
(B, 3) float32 of the present frame."""

SEEN = ("views", "places", "recalled")
"""Of `Memory`, what was seen, without where one is now."""

AIMS = ((0, 0), (0, 1), (1, 0), (-1, 0), (2, 0), (-2, 0))
"""Of each untrained head: the view so many sixteenths of a circle beside the one asked about, from
within which of `RANGES`."""

HEADS = len(AIMS)

AIM = 2.0
"""Of untrained weights: a frame that fits scores 4, others 0 to -7, those far away -6."""


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
    """A memory of the last R frames and their poses, and heads that look frames up in it.

    A `state` is `Memory`, and `codes` (B, 2g, 2g) are the present frame's.
    """

    motion: Tensor

    def __init__(self, size: int, motion: Sequence[Motion], channels: int, grid: int) -> None:
        """Make a memory.

        Args:
            size: R.
            motion: what each action does to the pose.
            channels: E of code vectors.
            grid: 2g, the side of a frame's code grid.
        """
        super().__init__()
        self.size = size
        self.odometer = Odometer(channels, grid)
        self.weight = nn.Parameter(_aims())
        self.register_buffer("motion", torch.tensor(motion), persistent=False)

    def begin(self, codes: Tensor) -> Memory:
        """The memory after a first frame, codes (B, 2g, 2g)."""
        pose, count = origin(codes), torch.zeros_like(codes[:, 0, 0])
        views = torch.zeros_like(codes)[:, None].expand(-1, self.size, -1, -1)
        places = pose[:, None].expand(-1, self.size, -1)
        return {
            "views": written(views, codes[:, None], count),
            "places": written(places, pose[:, None], count),
            "recalled": count + 1,
            "pose": pose,
        }

    def look_up(self, state: Memory, action: Tensor, vectors: Vectors) -> Tensor:
        """What is recalled (B, C, 2g, 2g) of where an action (B,) int64 leads."""
        asked = moved(state["pose"], self.motion[action])[:, None]
        known = (held(state["recalled"], self.size) >= 0)[:, None]
        return self(asked, state["places"], known, _read(vectors, state["views"]))[:, 0]

    def keep(self, state: Memory, codes: Tensor, action: Tensor, vectors: Vectors) -> Memory:
        """The memory after one frame more, codes (B, 2g, 2g), that `action` led to."""
        deviation = self.odometer(vectors(state["codes"]), vectors(codes)).float()
        motion = travelled(self.motion[action], deviation, state["codes"], codes)
        pose, count = moved(state["pose"], motion), state["recalled"]
        return {
            "views": written(state["views"], codes[:, None], count),
            "places": written(state["places"], pose[:, None], count),
            "recalled": count + 1,
            "pose": pose,
        }

    def look_up_clips(
        self,
        codes: Tensor,
        action: Tensor | None,
        vectors: Vectors,
        known: Tensor | None = None,
        state: Memory | None = None,
    ) -> tuple[Tensor, Memory]:
        """`look_up` and `keep` for whole clips, in parallel.

        Args:
            codes: (B, T, 2g, 2g).
            action: (B, N) int64, after frames 0 to N-1, N being T-1 or T; None where not known.
            vectors: of codes.
            known: (B, N) bool; False: this one is not, and counts as none.
            state: after frame 0, of clips that go on where others ended; else they begin.

        Returns:
            What is recalled (B, N, C, 2g, 2g) of where each action leads, and the memory after the
            last frame, which is empty unless there was a state.
        """
        frames = codes.shape[1]
        motion = self.motion.new_zeros(len(codes), frames - 1, 3)
        if action is not None:
            motion = self.motion[action]
        if known is not None:
            motion = motion * known[..., None]
        start = state["pose"] if state else origin(codes)
        x, led = _read(vectors, codes), motion[:, : frames - 1]
        deviation = self.odometer(x[:, :-1].flatten(0, 1), x[:, 1:].flatten(0, 1)).float()
        led = travelled(led, deviation.view(*led.shape[:2], 2), codes[:, :-1], codes[:, 1:])
        poses = reckoned(start, led)
        asked = moved(poses[:, : motion.shape[1]], motion)
        number = torch.arange(frames, device=codes.device)[None]
        seen, following = poses, {}
        if state:
            # Frame 0 is the newest in the ring.
            count = state["recalled"]
            kept = held(count, self.size)
            earlier = torch.where(kept >= 0, kept - count[:, None] + 1, -frames - self.size)
            number = torch.cat([earlier, number[:, 1:].expand(len(codes), -1)], 1)
            seen = torch.cat([state["places"], poses[:, 1:]], 1)
            x = torch.cat([_read(vectors, state["views"]), x[:, 1:]], 1)
            following = {
                "views": written(state["views"], codes[:, 1:], count),
                "places": written(state["places"], poses[:, 1:], count),
                "recalled": count + frames - 1,
                "pose": poses[:, -1],
            }
        now = torch.arange(asked.shape[1], device=codes.device)[:, None]
        age = now - number[:, None]
        remembered = (age >= 0) & (age < self.size)
        return self(asked, seen, remembered, x), following

    def forward(self, asked: Tensor, seen: Tensor, known: Tensor, frames: Tensor) -> Tensor:
        """What heads find of frames by place.

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


def _read(vectors: Vectors, codes: Tensor) -> Tensor:
    """Codes (B, M, 2g, 2g) -> vectors (B, M, E, 2g, 2g)."""
    return vectors(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])


def _aims() -> Tensor:
    """What heads look for before they are trained: (HEADS, FEATURES)."""
    weight = torch.zeros(HEADS, 1 + 2 * HARMONICS, 1 + len(RANGES))
    harmonics = torch.arange(1, HARMONICS + 1)
    for head, (aside, reach) in enumerate(AIMS):
        angle = 2 * pi * harmonics * aside / (4 * HARMONICS)
        weight[head, :, 1 + reach] = AIM * torch.cat([torch.ones(1), angle.cos(), angle.sin()])
        weight[head, 0, 0] = -AIM * (HARMONICS - 1)
    return torch.cat([weight.flatten(1), torch.zeros(HEADS, SIDES)], 1)
