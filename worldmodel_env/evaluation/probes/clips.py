"""Held-out episodes cut to one length, with where the agent stood."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Clips:
    """The first L frames of N episodes.

    Attributes:
        frames: (N, L, H, W, 3) uint8.
        actions: (N, L-1) int64 or (N, L-1, k); actions[:, t] leads from frame t to t+1.
        pose: (N, L, 3) float32 x, y, heading in degrees; None if an episode has none.
        places: (N,) int64, equal where episodes share a map; distinct where maps are not known.
        layouts: per episode its map, uint8 (rows, columns), 1 = wall; None where not known.
        seeds: (N,) int64 of the episodes.
    """

    frames: NDArray[np.uint8]
    actions: NDArray[Any]
    pose: NDArray[np.float32] | None
    places: NDArray[np.int64]
    layouts: list[NDArray[np.uint8] | None]
    seeds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def length(self) -> int:
        """L, frames of each episode."""
        return self.frames.shape[1]

    def rows(self, rows: slice | NDArray[np.int64]) -> "Clips":
        """Some of the episodes."""
        picked = np.arange(len(self))[rows]
        return Clips(
            frames=self.frames[picked],
            actions=self.actions[picked],
            pose=None if self.pose is None else self.pose[picked],
            places=self.places[picked],
            layouts=[self.layouts[i] for i in picked],
            seeds=self.seeds[picked],
        )


def read_clips(data: Path, split: str, length: int, episodes: int) -> Clips:
    """Read the first `length` frames of the first episodes that are long enough, by seed.

    Args:
        data: the data set's folder.
        split: which part.
        length: L.
        episodes: at most this many.

    Raises:
        InputError: no episode has `length` frames.
    """
    dataset = TrajectoryDataset.open(data)
    refs = [ref for ref in dataset.episodes(split) if ref.total_steps + 1 >= length][:episodes]
    if not refs:
        raise InputError(
            f"{data} has no {split} episode of {length} frames; record longer ones, or lower the "
            f"context or the horizon."
        )
    read = [dataset.read(ref, 0, length) for ref in refs]
    poses = [clip.pose for clip in read]
    layouts = [_layout(clip.attributes) for clip in read]
    return Clips(
        frames=np.stack([clip.observations for clip in read]),
        actions=np.stack([clip.actions for clip in read]),
        pose=None
        if any(p is None for p in poses)
        else np.stack([p for p in poses if p is not None]),
        places=places(layouts),
        layouts=layouts,
        seeds=np.array([ref.seed for ref in refs], np.int64),
    )


def longest(data: Path, split: str) -> int:
    """Frames of the longest episode of a split; InputError if it has none."""
    refs: list[EpisodeRef] = TrajectoryDataset.open(data).episodes(split)
    if not refs:
        raise InputError(f"{data} has no {split} episode; record some, or choose another split.")
    return max(ref.total_steps for ref in refs) + 1


def places(layouts: list[NDArray[np.uint8] | None]) -> NDArray[np.int64]:
    """A number per episode (N,), the same for the same map."""
    known: dict[bytes, int] = {}
    keys = [
        f"unknown {i}".encode()
        if layout is None
        else repr(layout.shape).encode() + layout.tobytes()
        for i, layout in enumerate(layouts)
    ]
    return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)


def _layout(attributes: Any) -> NDArray[np.uint8] | None:
    layout = attributes.get("layout")
    return layout if isinstance(layout, np.ndarray) and layout.ndim == 2 else None
