"""What the probes share: a world, its data, and what was imagined once for several of them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from worldmodel_env.evaluation.predictor import WorldPredictor
from worldmodel_env.evaluation.probes.clips import Clips, longest, read_clips
from worldmodel_env.evaluation.probes.rollout import Rollout, imagine

FITTED = 64
"""Episodes of the validation split that classifiers are trained on."""
FITTED_MAP = 256
"""Episodes that the map probe is fitted on: each map counts once, however long the walk."""
FITTED_LENGTH = 200
"""Frames of each at most."""


@dataclass(frozen=True)
class Bench:
    """A world and its recordings.

    Attributes:
        predictor: the world.
        data: the data set's folder; `validation` trains classifiers, `split` is measured.
        split: which part.
        context: true frames given.
        horizon: frames imagined.
        episodes: measured at most.
        cell: side of a cell of the map in the pose's units.
        seed: of everything random.
    """

    predictor: WorldPredictor
    data: Path
    split: str
    context: int
    horizon: int
    episodes: int
    cell: float
    seed: int

    @cached_property
    def clips(self) -> Clips:
        """Held-out episodes of context and horizon."""
        return read_clips(self.data, self.split, self.context + self.horizon, self.episodes)

    @cached_property
    def rollout(self) -> Rollout:
        """Those, and what the world imagined of them."""
        return imagine(self.predictor, self.clips, self.context, seed=self.seed)

    @cached_property
    def fitting(self) -> Clips:
        """Other episodes, to train classifiers on."""
        return self.others(FITTED)

    def others(self, episodes: int) -> Clips:
        """Episodes of the validation split."""
        length = min(longest(self.data, "validation"), FITTED_LENGTH)
        return read_clips(self.data, "validation", length, episodes)
