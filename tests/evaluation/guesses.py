"""Predictors for tests, and a network of features that costs nothing."""

import numpy as np

from worldmodel_env.evaluation.metrics.i3d import FEATURES


class Guess:
    """The last frame with noise, of which row i draws all from seeds[i].

    Attributes:
        calls: how often it was asked.
        told: whether it was given actions, at the last call.
    """

    def __init__(self, name: str = "guess", batch: int = 2, amount: int = 40) -> None:
        self.name, self.batch, self.amount = name, batch, amount
        self.calls = 0
        self.told: bool | None = None

    def predict(self, frames, actions, horizon, seeds):
        assert len(frames) == len(seeds) == self.batch
        self.calls += 1
        self.told = actions is not None
        rows = []
        for frame, seed in zip(frames[:, -1], seeds, strict=True):
            rng = np.random.default_rng(int(seed))
            noise = rng.integers(-self.amount, self.amount + 1, (horizon, *frame.shape))
            rows.append(np.clip(frame + noise, 0, 255).astype(np.uint8))
        return np.stack(rows)


class Means:
    """In place of I3D: mean colours, and nothing in the other features."""

    def __init__(self) -> None:
        self.films = 0

    def to(self, device):
        return self

    def features(self, videos):
        self.films += len(videos)
        found = np.zeros((len(videos), FEATURES))
        for row, video in zip(found, videos, strict=True):
            row[:3] = video.mean((0, 1, 2))
        return found
