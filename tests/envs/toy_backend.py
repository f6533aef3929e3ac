"""A backend without a model: every number a hash of its row alone, exact at any batch size."""

import numpy as np
import torch

from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagined

SIDE, GRID = 32, 8


class ToyBackend:
    name = "toy"
    device = torch.device("cpu")

    def __init__(self, batch: int, termination: float = 0.15):
        self.batch = batch
        self.termination = termination

    def begin(self, codes):
        assert len(codes) == self.batch
        codes = torch.from_numpy(np.ascontiguousarray(codes)).long()
        return {"index": torch.ones(len(codes), dtype=torch.int64), "codes": codes}

    def first(self, key):
        drawn = uniform(key, torch.zeros_like(key), GRID**2)
        return (drawn * 64).long().view(-1, GRID, GRID).numpy()

    def encode(self, frames):
        assert len(frames) == self.batch
        return frames[:, ::4, ::4, 0].astype(np.int64) % 64

    def decode(self, state):
        codes = state["codes"].to(torch.uint8) * 4
        return (
            codes.repeat_interleave(4, 1).repeat_interleave(4, 2)[..., None].expand(-1, -1, -1, 3)
        )

    def step(self, state, action, key):
        assert len(action) == self.batch
        mixed = key ^ state["codes"].sum((1, 2)) ^ (torch.from_numpy(action) << 40)
        drawn = uniform(mixed, state["index"], GRID**2 + 2)
        codes = (drawn[:, 2:] * 64).long().view(-1, GRID, GRID)
        following = {"index": state["index"] + 1, "codes": codes}
        ends = torch.full((len(codes),), self.termination)
        return following, Imagined(self.decode(following), drawn[:, 0], ends, drawn[:, 1])

    def observe(self, state, frames, action):
        return {"index": state["index"] + 1, "codes": torch.from_numpy(self.encode(frames))}
