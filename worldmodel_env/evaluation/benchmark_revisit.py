"""Revisits inside short clips: how a place looks that was in the context some frames ago.

The probes measure every return of long walks (`evaluation/probes/revisit.py`). Models are compared
on fewer: clips no longer than those they were trained on, returns by a given number of frames.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics import psnr
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.predictor import Predictor
from worldmodel_env.evaluation.probes.clips import Clips
from worldmodel_env.evaluation.probes.returns import Returns, Tolerance, find_returns
from worldmodel_env.evaluation.probes.rollout import imagine

_OFFSET = 1 << 31
"""Between the noise keys of two clips of one episode."""


@dataclass(frozen=True)
class Revisits:
    """Clips and the returns in them whose first visit was in the context.

    Attributes:
        clips: N of one length.
        events: E returns, at least one in every clip.
        context: C, true frames given.
    """

    clips: Clips
    events: Returns
    context: int

    def measure(self, predictor: Predictor, lpips: Lpips | None, seed: int) -> dict[str, float]:
        """Distance of the imagined frame from the true frame of the first visit."""
        film = imagine(predictor, self.clips, self.context, seed=seed).film
        return self._compare(film, lpips)

    def ceiling(self, lpips: Lpips | None) -> dict[str, float]:
        """What the simulator's own frames get: the pose is only nearly the same."""
        return self._compare(self.clips.frames, lpips)

    def _compare(self, film: NDArray[np.uint8], lpips: Lpips | None) -> dict[str, float]:
        e = self.events
        shown, seen = film[e.episode, e.now], self.clips.frames[e.episode, e.then]
        found = {"revisit PSNR": float(psnr(seen, shown).mean())}
        if lpips is not None:
            found["revisit LPIPS"] = float(lpips.distance(seen, shown).mean())
        return found


def find_revisits(
    dataset: TrajectoryDataset,
    split: str,
    context: int,
    length: int,
    lags: tuple[int, int],
    tolerance: Tolerance,
    most: int,
) -> Revisits:
    """Cut episodes into clips and keep those in which the agent comes back.

    Args:
        dataset: with poses.
        split: which episodes.
        context: C; first visits lie in it, returns after it.
        length: L, frames of a clip.
        lags: least and largest number of frames between the two.
        tolerance: which poses are one.
        most: clips at most, the first ones.

    Raises:
        InputError: there are no poses, or no such return.
    """
    frames: list[NDArray] = []
    actions: list[NDArray] = []
    poses: list[NDArray] = []
    seeds: list[int] = []
    events: list[tuple[int, int, int]] = []
    for ref in dataset.episodes(split):
        episode = dataset.read(ref)
        if episode.pose is None:
            raise InputError(
                f"{dataset.root} has episodes without poses, from which returns are found; record "
                'them with a simulator that gives info["pose"].'
            )
        for begin in range(0, len(episode.observations) - length + 1, length):
            pose = episode.pose[begin : begin + length]
            found = find_returns(pose[None], tolerance)
            inside = (found.then < context) & (found.now >= context)
            kept = found.where(inside & (found.lag >= lags[0]) & (found.lag <= lags[1]))
            if len(kept) and len(frames) < most:
                events += [(len(frames), *e) for e in zip(kept.then, kept.now, strict=True)]
                frames.append(episode.observations[begin : begin + length])
                actions.append(episode.actions[begin : begin + length - 1])
                poses.append(pose)
                seeds.append(ref.seed + begin * _OFFSET)
    if not events:
        raise InputError(
            f"{dataset.root} has no return after {lags[0]} to {lags[1]} frames in {split} clips of "
            f"{length}; record some with `--policy out-and-back`."
        )
    count = len(frames)
    clips = Clips(
        frames=np.stack(frames), actions=np.stack(actions), pose=np.stack(poses),
        places=np.arange(count), layouts=[None] * count, seeds=np.array(seeds, np.int64),
    )  # fmt: skip
    return Revisits(clips, Returns(*np.array(events, np.int64).T), context)
