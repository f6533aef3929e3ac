"""The discriminator: what a verdict sees, and that nothing else has a part in it."""

import pytest
import torch
from torch import nn

from worldmodel_env.models.discriminator import Discriminator, DiscriminatorConfig

LAYERS = pytest.mark.parametrize("layers", [1, 2, 3])


def build(layers: int = 2, channels: int = 8) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(DiscriminatorConfig(layers, channels))


def frames(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


@LAYERS
def test_one_verdict_for_every_patch(layers: int) -> None:
    side = 64 // 2**layers - 2
    assert build(layers)(frames(2)).shape == (2, 1, side, side)


@pytest.mark.parametrize(("layers", "patch"), [(1, 16), (2, 34), (3, 70)])
def test_a_verdict_sees_a_patch(layers: int, patch: int) -> None:
    model = build(layers)
    for i, layer in enumerate(model.layers):
        if isinstance(layer, nn.GroupNorm):  # it looks at the whole frame's contrast
            model.layers[i] = nn.Identity()
    x = torch.zeros(1, 3, 128, 128, requires_grad=True)
    verdicts = model(x)
    middle = verdicts.shape[-1] // 2
    verdicts[0, 0, middle, middle].backward()
    seen = x.grad.abs().sum((0, 1)) > 0
    assert seen.any(0).sum() == seen.any(1).sum() == patch


def test_the_published_size() -> None:
    model = Discriminator(DiscriminatorConfig())
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [64, 128, 256, 512, 1]
    assert sum(p.numel() for p in model.parameters()) == 2_765_633


def test_weights_start_small_and_biases_at_zero() -> None:
    for module in build(3, 64).modules():
        if isinstance(module, nn.Conv2d):
            assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
            assert module.bias is None or not module.bias.any()


@torch.no_grad()
def test_frames_are_judged_one_by_one_in_training_as_in_evaluation() -> None:
    model, x = build(), frames(3)
    together = model.train()(x)
    torch.testing.assert_close(model(x[1:2]), together[1:2])
    assert torch.equal(model.eval()(x), together)
    assert not list(model.buffers())
