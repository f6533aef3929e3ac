"""Batches of clips cut from a `CodeStore`, padded where an episode is shorter.

Clips are cut apart (`sample_clips`), or so that a row of the batch goes on from step to step
(`consecutive_clips`).
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodel_env.data.codes import CodeStore
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Clips:
    """B clips of T frames.

    Attributes:
        codes: (B, T, g, g) int64.
        actions: (B, T-1) int64 or (B, T-1, k), actions[:, t] leads from frame t to t+1; None when
            the clips have none.
        rewards: (B, T-1) float32.
        terminations: (B, T-1) bool.
        valid: (B, T) bool, False in padding, which is always at the end and may hold anything.
    """

    codes: Tensor
    actions: Tensor | None
    rewards: Tensor
    terminations: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> "Clips":
        """The same clips on `device`."""
        return Clips(
            self.codes.to(device),
            None if self.actions is None else self.actions.to(device),
            self.rewards.to(device),
            self.terminations.to(device),
            self.valid.to(device),
        )

    def rows(self, rows: slice) -> "Clips":
        """Some of the clips."""
        return Clips(
            self.codes[rows],
            None if self.actions is None else self.actions[rows],
            self.rewards[rows],
            self.terminations[rows],
            self.valid[rows],
        )

    def with_actions_ahead(self, frames: int) -> "Clips":
        """Shorter clips whose transition t carries actions[:, t + frames] instead of its own."""
        return Clips(
            self.codes[:, :-frames],
            None if self.actions is None else self.actions[:, frames:],
            self.rewards[:, :-frames],
            self.terminations[:, :-frames],
            self.valid[:, frames:],  # where the action runs beyond the episode, there is none
        )


def sample_clips(
    store: CodeStore, length: int, batch: int, seed: int, step: int, ends: float = 0.0
) -> Clips:
    """Cut `batch` random clips of `length` frames: a pure function of (store, seed, step, ends).

    Episodes are drawn in proportion to their frames; the first frame of a clip is uniform among
    those from which `length` frames follow, or 0 in shorter episodes, whose clips are padded.

    Of each clip it is drawn, with probability `ends`, whether it shows the last frames of an
    episode that terminated instead, all such episodes alike: what leads to an end is rare.

    Raises:
        InputError: `ends` above 0, but no episode terminated.
    """
    rng = np.random.default_rng([seed, step])
    frame = rng.integers(store.starts[-1], size=batch)
    episode = np.searchsorted(store.starts, frame, side="right") - 1
    within, last = rng.random(batch), np.zeros(batch, bool)
    if ends:
        terminated = np.searchsorted(store.starts, np.flatnonzero(store.terminations), "right") - 1
        if not len(terminated):
            raise InputError(f"ends is {ends:g}, but no episode of the data terminated; give 0.")
        last = rng.random(batch) < ends
        episode = np.where(last, rng.choice(terminated, batch), episode)
    first, end = store.starts[episode], store.starts[episode + 1]
    spare = np.maximum(end - first - length, 0)
    begin = first + np.where(last, spare, (within * (spare + 1)).astype(np.int64))
    return cut_clips(store, begin, end, length)


def consecutive_clips(
    store: CodeStore, length: int, batch: int, seed: int, step: int, run: int
) -> tuple[Clips, Tensor]:
    """Clips of which each goes on where the same row's clip of step - 1 ended, or begins anew.

    Every `run` steps a row begins anew, different rows at different steps. In between it goes
    through an episode clip by clip, the last frame of one being the first of the next, and through
    another episode when too little is left of it for a whole clip. So nothing is padded but clips
    of episodes that are shorter than one. As with `sample_clips`, episodes are drawn in proportion
    to their frames, and where to begin in them is uniform.

    A pure function of (store, seed, step): what came before is drawn again, not remembered.

    Returns:
        The clips, and (B,) bool: rows that begin anew.
    """
    phase = [step + row * run // batch for row in range(batch)]
    places = [_place(store, length, seed, row, at, run) for row, at in enumerate(phase)]
    begin, end, anew = (np.array(column) for column in zip(*places, strict=True))
    begins = torch.from_numpy(anew) | (step == 0)
    return cut_clips(store, begin, end, length), begins


def _place(
    store: CodeStore, length: int, seed: int, row: int, step: int, run: int
) -> tuple[int, int, bool]:
    """First frame of a row's clip, the end of its episode, whether it begins anew."""
    rng = np.random.default_rng([seed, row, step // run])
    left, skipped = run, step % run  # clips of the run, and those of them before this one
    while True:
        frame = rng.integers(store.starts[-1])
        episode = np.searchsorted(store.starts, frame, side="right") - 1
        first, end = store.starts[episode], store.starts[episode + 1]
        clips = int(min(left, max(1, (end - first - 1) // (length - 1))))
        spare = max(end - first - clips * (length - 1), 1)
        begin = first + int(rng.random() * spare)
        if skipped < clips:
            return begin + skipped * (length - 1), end, skipped == 0
        left, skipped = left - clips, skipped - clips


def cut_clips(store: CodeStore, begin: np.ndarray, end: np.ndarray, length: int) -> Clips:
    """Clips of `length` frames from frame `begin` (B,), padded beyond each episode's `end` (B,)."""
    rows = begin[:, None] + np.arange(length)
    valid = rows < end[:, None]
    rows = np.where(valid, rows, begin[:, None])  # padding: a frame that exists
    moves = rows[:, :-1]
    return Clips(
        codes=torch.from_numpy(store.codes[rows].astype(np.int64)),
        actions=torch.from_numpy(store.actions[moves]),
        rewards=torch.from_numpy(store.rewards[moves]),
        terminations=torch.from_numpy(store.terminations[moves]),
        valid=torch.from_numpy(valid),
    )
