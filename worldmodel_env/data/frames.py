"""Batches of single frames, for training the tokenizer."""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError

FRAMES_PER_CHUNK = 4
"""Frames taken from each decoded chunk: decoding costs a quarter, batches stay mixed."""


class FrameSampler:
    """Draws frames uniformly from a split, four from each of a batch's random 16-frame chunks."""

    def __init__(self, dataset: TrajectoryDataset, split: str, batch_size: int, seed: int) -> None:
        """Prepare sampling.

        Args:
            dataset: an open data set.
            split: train, validation or test.
            batch_size: B, at least 1.
            seed: with the step, fixes which frames a batch holds.

        Raises:
            InputError: if the split is empty or the batch size is not positive.
        """
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}: use 1 or more")
        self._episodes = dataset.episodes(split)
        if not self._episodes:
            raise InputError(f"{dataset.root} has no {split} episodes: record some")
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._ends = np.cumsum([ref.total_steps + 1 for ref in self._episodes])
        self._thread = ThreadPoolExecutor(1, "frames")  # starts when it is first used
        self._next: int | None = None
        self._ahead: Future[NDArray[np.uint8]] | None = None

    def batch(self, step: int) -> NDArray[np.uint8]:
        """Return (B, H, W, 3) uint8: a pure function of data set, seed and `step` (0 or above).

        Asked for one step after the other, it draws the next batch while the caller works.
        """
        in_turn, ahead = step == self._next, self._ahead
        frames = ahead.result() if in_turn and ahead else self._draw(step)
        self._next = step + 1
        self._ahead = self._thread.submit(self._draw, step + 1) if in_turn else None
        return frames

    def _draw(self, step: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng([self._seed, step])
        parts = []
        for count in _shares(self._batch_size):
            # A uniform frame names the chunk, so a short last chunk is drawn no more than it holds.
            frame = int(rng.integers(self._ends[-1]))
            episode = int(np.searchsorted(self._ends, frame, side="right"))
            ref = self._episodes[episode]
            length = ref.total_steps + 1
            start = (frame - int(self._ends[episode]) + length) // schema.CHUNK * schema.CHUNK
            chunk = self._dataset.frames(ref, start, min(start + schema.CHUNK, length))
            parts.append(chunk[rng.choice(len(chunk), count, replace=len(chunk) < count)])
        return np.concatenate(parts)


def _shares(batch_size: int) -> list[int]:
    whole, rest = divmod(batch_size, FRAMES_PER_CHUNK)
    return [FRAMES_PER_CHUNK] * whole + [rest] * bool(rest)
