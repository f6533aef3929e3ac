"""Worlds in which a frame that hardly changes does not change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nano import make_nano

from worldmodel_env.imagination.backend import open_backend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling


@torch.no_grad()
def test_frames_that_hardly_change_are_the_ones_before() -> None:
    """Also the latent, which is read from the codes; others are as they would be."""
    world = make_nano(recall=8)
    free = world.imagination(Sampling(steps=0))
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(64, (32, 8, 8), generator=generator)
    action = torch.zeros(32, dtype=torch.int64)
    noise = torch.full((32, *free.noise_shape), 0.5)
    state = free.begin(codes)
    moving, _ = free.imagine(state, action, noise)
    share = (moving["codes"] != codes).float().mean((1, 2))
    limit = float(share.median())
    settled, _ = world.imagination(Sampling(steps=0, still=limit)).imagine(state, action, noise)
    still = share < limit
    assert 0 < still.sum() < 32
    assert torch.equal(settled["codes"][still], codes[still])
    for name in ("codes", "latent"):
        assert torch.equal(settled[name][~still], moving[name][~still])
        assert not torch.equal(settled[name][still], moving[name][still])


def test_exported_steps_settle_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A world in which nothing less than everything may change stands still for ever."""
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    world = make_nano(endless=True)
    sampling = Sampling(steps=0, still=0.999)
    settled = replace(world, config=replace(world.config, sampling=sampling))
    settled = World.load(settled.save(tmp_path / "world"))
    for name in ("torch", "openvino"):
        backend = open_backend(settled, name, precision="fp32")
        state = backend.begin(world.starts[:1])
        before = backend.decode(state)
        for key in range(3):
            state, _ = backend.step(state, np.zeros(1, np.int64), torch.tensor([key]))
            assert torch.equal(backend.decode(state), before)
    backend = open_backend(settled, "torch", precision="fp32", sampling=Sampling(steps=0))
    state, _ = backend.step(state, np.zeros(1, np.int64), torch.tensor([0]))
    assert not torch.equal(backend.decode(state), before)
