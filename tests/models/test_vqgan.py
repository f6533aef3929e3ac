"""The tokenizer: shapes, types, and sizes of several configurations."""

import pytest
import torch

from worldmodel_env.models.vqgan import Vqgan, VqganConfig

TINY = {"channels": 8, "blocks": 1, "n_codes": 16, "code_dim": 4}
CONFIGS = [
    VqganConfig(resolution=32, patch=1, multipliers=(1, 2), attention=(), **TINY),
    VqganConfig(resolution=32, patch=2, multipliers=(1, 2), attention=(8,), **TINY),
    VqganConfig(resolution=16, patch=1, multipliers=(1, 1, 2), attention=(4, 8), **TINY),
    VqganConfig(resolution=16, patch=2, multipliers=(2,), attention=(), l2_normalise=True, **TINY),
]
ALL = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.resolution}-{c.patch}")


def build(config: VqganConfig) -> Vqgan:
    torch.manual_seed(0)
    return Vqgan(config)


@ALL
@torch.no_grad()
def test_frames_become_codes_and_codes_become_frames(config: VqganConfig) -> None:
    model = build(config)
    frames = torch.randint(256, (2, config.resolution, config.resolution, 3), dtype=torch.uint8)
    codes = model.encode(frames)
    assert codes.shape == (2, config.grid, config.grid)
    assert codes.dtype == torch.int64
    assert int(codes.max()) < config.n_codes
    again = model.decode(codes)
    assert again.shape == frames.shape
    assert again.dtype == torch.uint8


@ALL
def test_reconstruction_has_the_shape_of_the_input_and_gradients(config: VqganConfig) -> None:
    model = build(config)
    x = torch.rand(2, 3, config.resolution, config.resolution) * 2 - 1
    y, quantised = model(x)
    assert y.shape == x.shape
    (y.square().mean() + quantised.codebook.mean()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@torch.no_grad()
def test_encode_gives_the_codes_that_training_sees() -> None:
    model = build(CONFIGS[0])
    frames = torch.randint(256, (8, 32, 32, 3), dtype=torch.uint8)
    x = frames.movedim(-1, 1).float() / 127.5 - 1
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.encode(frames), model(x)[1].codes)


@torch.no_grad()
def test_half_precision_weights_encode_and_decode() -> None:
    model = build(CONFIGS[0]).to(torch.bfloat16)
    model.codebook.float()
    frames = torch.randint(256, (2, 32, 32, 3), dtype=torch.uint8)
    assert model.decode(model.encode(frames)).shape == frames.shape


@torch.no_grad()
def test_frames_are_coded_one_by_one() -> None:
    model = build(CONFIGS[1])
    frames = torch.randint(256, (3, 32, 32, 3), dtype=torch.uint8)
    assert torch.equal(model.encode(frames)[1:2], model.encode(frames[1:2]))


@pytest.mark.parametrize(("resolution", "multipliers"), [(64, (1, 2, 4)), (128, (1, 1, 2, 4))])
def test_published_sizes_build_without_memory(
    resolution: int, multipliers: tuple[int, ...]
) -> None:
    config = VqganConfig(resolution=resolution, multipliers=multipliers)
    with torch.device("meta"):
        model = Vqgan(config)
    assert config.grid == 16
    assert model.codebook.weight.shape == (1024, 256)
    assert 20e6 < sum(p.numel() for p in model.parameters()) < 120e6
