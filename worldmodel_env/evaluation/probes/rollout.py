"""Clips beside what a predictor imagined of them, given the recorded actions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import Predictor
from worldmodel_env.evaluation.probes.clips import Clips


@dataclass(frozen=True)
class Rollout:
    """N clips of L = C + K frames, and K imagined frames of each.

    Attributes:
        name: of the predictor.
        clips: what was recorded.
        context: C, true frames given.
        imagined: (N, K, H, W, 3) uint8, frames C .. C+K-1.
    """

    name: str
    clips: Clips
    context: int
    imagined: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse imagined frames that do not fill the clips (InputError)."""
        true = self.clips.frames
        expected = (len(true), true.shape[1] - self.context, *true.shape[2:])
        if self.imagined.shape != expected or self.imagined.dtype != np.uint8:
            raise InputError(
                f"{self.name} imagined {self.imagined.dtype} {self.imagined.shape} where uint8 "
                f"{expected} was expected; predict every frame after the context."
            )

    @property
    def horizon(self) -> int:
        """K, imagined frames of each clip."""
        return self.imagined.shape[1]

    @property
    def true(self) -> NDArray[np.uint8]:
        """(N, K, H, W, 3), the frames that were to be imagined."""
        return self.clips.frames[:, self.context :]

    @property
    def film(self) -> NDArray[np.uint8]:
        """(N, C+K, H, W, 3): the context, then what was imagined."""
        return np.concatenate([self.clips.frames[:, : self.context], self.imagined], 1)


def imagine(predictor: Predictor, clips: Clips, context: int, *, seed: int = 0) -> Rollout:
    """Let a predictor continue every clip after `context` frames.

    Args:
        predictor: the model.
        clips: what to continue; their actions are replayed.
        context: C, at least 1 and less than the clips' length.
        seed: of all randomness.

    Raises:
        InputError: the context leaves nothing to imagine, or the model refuses the frames.
    """
    if not 1 <= context < clips.length:
        raise InputError(
            f"context is {context} of {clips.length} frames; give at least 1 and leave at least 1."
        )
    parts = []
    starts = range(0, len(clips), predictor.batch)
    for start in tqdm(starts, desc=f"imagine, {predictor.name}", unit="batch", disable=None):
        rows = filled(start, len(clips), predictor.batch)
        batch = clips.rows(rows)
        frames = predictor.predict(
            batch.frames[:, :context],
            batch.actions,
            clips.length - context,
            noise_keys(batch.seeds, seed),
        )
        parts.append(frames[: len(clips) - start])
    return Rollout(predictor.name, clips, context, np.concatenate(parts))


def filled(start: int, rows: int, batch: int) -> NDArray[np.int64]:
    """Row numbers start .. start+batch-1, the last row again where there are no more."""
    return np.minimum(np.arange(start, start + batch), rows - 1)


def noise_keys(episodes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """What each episode's randomness is drawn from, whatever batch it is in: (B,) from its seed."""
    return (seed << 32) + episodes
