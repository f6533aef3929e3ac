"""Whether walls stop people in a world."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nano import make_nano

from benchmarks.walls import foretold
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.imagination.step import Sampling


@torch.no_grad()
def test_steps_are_foretold_as_the_world_imagines_them(toy_set: Path) -> None:
    """Without z, one step ahead of recorded frames."""
    data = TrajectoryDataset.open(toy_set)
    episode = data.read(data.episodes("train")[0], 0, 9)
    world = make_nano()
    model = replace(world, config=replace(world.config, sampling=Sampling(steps=0))).imagination()
    frames = torch.from_numpy(episode.observations)
    actions = torch.from_numpy(episode.actions)
    codes = model.vqgan.encode(frames)
    state, expected = model.begin(codes[:1]), []
    for t in range(8):
        noise = torch.full((1, *model.noise_shape), 0.5)
        imagined, _ = model.imagine(state, actions[t : t + 1], noise)
        expected.append((imagined["codes"] != codes[t]).float().mean().item())
        state = model.observe_codes(state, codes[t + 1 : t + 2], actions[t : t + 1])
    assert foretold(model, episode) == pytest.approx(expected, abs=0.02)
    assert min(expected) < max(expected)
