"""The predictions of a protocol, one per episode and seed, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef
from worldmodel_env.evaluation.predictor import Predictor
from worldmodel_env.evaluation.protocol import Part


@dataclass(frozen=True)
class Sample:
    """One prediction to make.

    Attributes:
        ref: the episode, whose first frames are the context.
        seed: which of several predictions of it; 0 or more.
    """

    ref: EpisodeRef
    seed: int

    @property
    def key(self) -> int:
        """What all its randomness is drawn from: different for every episode and seed."""
        return (self.seed << 32) + self.ref.id


class Source(Protocol):
    """Where predicted frames come from: a model that runs, or a file.

    Attributes:
        name: the model's.
        batch: samples of a call at most.
    """

    name: str
    batch: int

    def predict(
        self, part: Part, samples: Sequence[Sample], clips: NDArray[np.uint8], actions: NDArray
    ) -> NDArray[np.uint8]:
        """Predicted frames (S, K, H, W, 3) of samples whose true clips are (S, C+K, H, W, 3).

        Args:
            part: C, K, and whether the model may know the actions.
            samples: S of them, at least one.
            clips: the true frames, of which the model is shown the first C.
            actions: (S, C+K-1) or (S, C+K-1, k).
        """
        ...


class ModelSource:
    """Predictions made by a model when they are asked for."""

    def __init__(self, predictor: Predictor) -> None:
        self.name = predictor.name
        self.batch = predictor.batch
        self._predictor = predictor

    def predict(
        self, part: Part, samples: Sequence[Sample], clips: NDArray[np.uint8], actions: NDArray
    ) -> NDArray[np.uint8]:
        """See `Source`; a batch that is not full is filled up with its last row."""
        # At a fixed number of rows a row is the same whatever the others are.
        rows = np.minimum(np.arange(self.batch), len(samples) - 1)
        keys = np.array([sample.key for sample in samples], np.int64)
        context = clips[rows, : part.context]
        told = actions[rows] if part.actions else None
        frames = self._predictor.predict(context, told, part.horizon, keys[rows])
        return frames[: len(samples)]
