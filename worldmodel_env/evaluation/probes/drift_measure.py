"""What drift measures of films, imagined or recorded, without a true frame beside them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.clips import Clips
from worldmodel_env.evaluation.probes.frame_measures import motion, nearest, sharpness, thumbnails
from worldmodel_env.evaluation.probes.rollout import filled

BANK = 2048
"""Frames of the same map at most, and as many of other maps, in which a frame is looked up."""
FROZEN = 1 / 255
"""A frame that differs from the one before by less stands still."""
_RECORDED = 32
_COUNTED = 4096
MEASURES = ("sharpness", "motion", "frozen", "own", "other", "recognised")

Encode = Callable[[NDArray[np.uint8]], NDArray[np.int64]]


@dataclass(frozen=True)
class Tokens:
    """A tokenizer to count codes with.

    Attributes:
        encode: frames (B, H, W, 3) to codes (B, g, g); takes any number of frames that is a
            multiple of `batch`.
        codes: size of the codebook.
        batch: frames per call.
    """

    encode: Encode
    codes: int
    batch: int


@dataclass(frozen=True)
class Measured:
    """Measures of N films of K frames.

    Attributes:
        values: measure -> (N, K) float64.
        counts: (buckets, codes) how often each code occurs, by horizon; None without tokenizer.
    """

    values: dict[str, NDArray[np.float64]]
    counts: NDArray[np.int64] | None


def measure(
    clips: Clips,
    rows: NDArray[np.int64],
    frames: NDArray[np.uint8],
    start: int,
    tokens: Tokens | None,
    seed: int,
) -> Measured:
    """Measure films.

    Args:
        clips: recordings to compare with.
        rows: (B,) which clip each film continues.
        frames: (B, K, H, W, 3), frames start .. start+K-1 of each.
        start: at least 1.
        tokens: for the codes' entropy.
        seed: of the choice of frames to look up.
    """
    before = np.concatenate([clips.frames[rows, start - 1][:, None], frames[:, :-1]], 1)
    moved = np.stack([motion(a, b) for a, b in zip(before, frames, strict=True)])
    own, other = (np.empty(frames.shape[:2]) for _ in range(2))
    moments = start + np.arange(frames.shape[1])
    for i, (row, film) in enumerate(zip(rows, frames, strict=True)):
        small = thumbnails(film)
        for kept, bank in zip((own, other), _banks(clips, int(row), seed), strict=True):
            kept[i] = nearest(small, moments, *bank)
    values = {
        "sharpness": np.stack([sharpness(film) for film in frames]),
        "motion": moved,
        "frozen": (moved < FROZEN).astype(float),
        "own": own,
        "other": other,
        "recognised": (own < other).astype(float),
    }
    return Measured(values, None if tokens is None else _count(frames, tokens))


def measure_recorded(
    clips: Clips, horizon: int, films: int, tokens: Tokens | None, seed: int
) -> Measured:
    """The same measures of recorded frames, for at most `_RECORDED` of the clips.

    Codes are counted in as many recorded frames as there are imagined ones in each bucket (an
    entropy grows with what it is counted over), up to `_COUNTED`.

    Args:
        clips: recordings.
        horizon: of the imagined films.
        films: how many of those there are.
        tokens: for the codes' entropy.
        seed: of the choice of frames.
    """
    rows = np.arange(min(len(clips), _RECORDED))
    measured = measure(clips, rows, clips.frames[rows, 1:], 1, None, seed)
    if tokens is None:
        return measured
    rng = np.random.default_rng(seed)
    counts = []
    for low, high in buckets(horizon):
        number = min(_COUNTED, films * (high - low + 1))
        episodes, frames = rng.integers((len(clips), clips.length), size=(number, 2)).T
        counts.append(_count(clips.frames[episodes, frames][:, None], tokens)[0])
    return Measured(measured.values, np.stack(counts))


def _banks(
    clips: Clips, row: int, seed: int
) -> list[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Thumbnails and moments of frames of the same map and of other maps."""
    rng = np.random.default_rng((seed, int(clips.seeds[row])))
    same = clips.places == clips.places[row]
    candidates = [
        np.argwhere(np.broadcast_to(chosen[:, None], clips.frames.shape[:2]))
        for chosen in (same, ~same)
    ]
    # Equally many of both: what is sought among more frames is found nearer.
    size = min(BANK, *map(len, candidates))
    banks = []
    for frames in candidates:
        episode, moment = frames[rng.permutation(len(frames))[:size]].T
        far = np.iinfo(np.int32).min
        moments = np.where(episode == row, moment, far).astype(np.int64)
        banks.append((thumbnails(clips.frames[episode, moment]), moments))
    return banks


def _count(frames: NDArray[np.uint8], tokens: Tokens) -> NDArray[np.int64]:
    spans = buckets(frames.shape[1])
    counts = np.zeros((len(spans), tokens.codes), np.int64)
    for i, (low, high) in enumerate(spans):
        part = frames[:, low - 1 : high]
        part = part.reshape(-1, *part.shape[2:])
        padded = part[filled(0, len(part), -(-len(part) // tokens.batch) * tokens.batch)]
        codes = [
            tokens.encode(padded[j : j + tokens.batch]) for j in range(0, len(padded), tokens.batch)
        ]
        used = np.concatenate(codes)[: len(part)]
        counts[i] = np.bincount(used.reshape(-1), minlength=tokens.codes)
    return counts
