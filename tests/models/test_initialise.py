"""Initial weights of the published model: the variances that the reference's initialisers have."""

from dataclasses import replace

import pytest
import torch

from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.initialise import initialise_as_published
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.temporal import TemporalConfig

CONFIG = TecoConfig(
    vq_dim=64, depths=(64, 96), embed_dim=64, temporal_stride=4,
    actions=ActionConfig("discrete", choices=(3,)),
    temporal=TemporalConfig(128, 256, 4, 1, window=8), prior=PriorConfig(128, 256, 4, 1, 64),
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Teco:
    torch.manual_seed(0)
    built = Teco(replace(CONFIG))
    initialise_as_published(built)
    return built.requires_grad_(False)


@pytest.mark.parametrize(
    ("path", "fan_in"),
    [
        ("encoder.input.weight", 2 * 64 * 9),
        ("encoder.low.0.conv1.weight", 64 * 9),
        ("codebook.down.weight", 64),
        ("to_tokens.conv.weight", (64 + 16) * 16),
        ("from_tokens.conv.weight", 128 * 16),
        ("temporal.layers.0.attention.qkv.weight", 128),
        ("temporal.layers.0.mlp.down.weight", 256),
        ("prior.input.weight", 64 + 64),
        ("decoder.out.weight", 64),
    ],
)
def test_variance_is_one_over_fan_in(model: Teco, path: str, fan_in: int) -> None:
    weight = model.get_parameter(path)
    assert float(weight.std()) == pytest.approx(fan_in**-0.5, rel=0.06)


def test_attention_is_not_cut_and_the_rest_is(model: Teco) -> None:
    layer = model.temporal.layers[0]
    # A normal of 49,000 numbers reaches four deviations; one cut at two of a wider normal, 2.27.
    assert float(layer.attention.qkv.weight.abs().max() * 128**0.5) > 3.5
    assert float(layer.mlp.up.weight.abs().max() * 128**0.5) < 2.3


def test_biases_are_zero_and_the_priors_output_is_small(model: Teco) -> None:
    assert not model.encoder.input.bias.any()
    assert not model.temporal.layers[0].attention.qkv.bias.any()
    assert float(model.prior.head.linear.weight.std()) == pytest.approx(0.02, rel=0.05)


def test_what_the_reference_lacks_is_left_alone() -> None:
    torch.manual_seed(0)
    before = Teco(CONFIG)
    torch.manual_seed(0)
    after = Teco(CONFIG)
    initialise_as_published(after)
    for name, tensor in before.outcome_head.state_dict().items():
        assert torch.equal(tensor, after.outcome_head.state_dict()[name])
    assert torch.equal(before.null_z, after.null_z)
