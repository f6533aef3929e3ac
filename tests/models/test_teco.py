"""TECO's pieces: shapes, switches, published sizes."""

from dataclasses import replace

import pytest
import torch
from gymnasium import spaces

from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.temporal import TemporalConfig

CONFIG = TecoConfig(
    code_grid=8, vq_codes=16, vq_dim=4, actions=ActionConfig.of(spaces.Discrete(3)),
    depths=(8, 12), encoder_blocks=1, decoder_blocks=1, embed_dim=6, n_codes=10, code_dim=5,
    temporal_stride=2, action_dim=3, temporal=TemporalConfig(16, 24, 2, 1, "window", 4),
    prior=PriorConfig(16, 24, 2, 1, 8),
)  # fmt: skip
SWITCHED = replace(CONFIG, local_skip=True, codebook_logits=True)


def build(config: TecoConfig) -> Teco:
    torch.manual_seed(0)
    model = Teco(config)
    model.code_vectors.normal_()
    return model


@pytest.mark.parametrize("config", [CONFIG, SWITCHED], ids=["plain", "switched"])
@pytest.mark.parametrize("stride", [1, 2, 4])
@torch.no_grad()
def test_shapes(config: TecoConfig, stride: int) -> None:
    config = replace(config, temporal_stride=stride)
    model = build(config)
    side = 4 // stride
    assert config.grid == 4
    assert config.tokens == side * side
    codes = torch.randint(16, (2, 8, 8))
    vectors, action = model.vectors(codes), model.action(torch.tensor([0, 2]))
    assert vectors.shape == (2, 4, 8, 8)
    latents = model.encoder(vectors, vectors)
    assert latents.shape == (2, 6, 4, 4)
    z, quantised = model.codebook(latents)
    assert z.shape == latents.shape
    assert quantised.codes.shape == (2, 4, 4)
    torch.testing.assert_close(model.codebook.embed(quantised.codes), z)
    tokens = model.tokens(z, action)
    assert tokens.shape == (2, side * side, 16)
    h = model.latent_map(tokens)
    assert h.shape == latents.shape
    local, skip = model.predict(h, codes, action)
    logits = model.decode(local, model.empty_z(z), skip)
    assert logits.shape == (2, 8, 8, 16)
    assert model.outcome(h, z).termination.shape == (2,)


@torch.no_grad()
def test_vectors_lie_where_their_codes_do() -> None:
    model = build(CONFIG)
    codes = torch.randint(16, (1, 8, 8))
    assert torch.equal(model.vectors(codes)[0, :, 2, 5], model.code_vectors[codes[0, 2, 5]])


@torch.no_grad()
def test_a_temporal_token_lies_where_its_latents_do() -> None:
    model = build(CONFIG)
    z, action = torch.randn(1, 6, 4, 4), torch.randn(1, 3)
    other = z.clone()
    other[..., :2, 2:] += 1  # the second of 2 x 2 tokens
    moved = (model.tokens(z, action) - model.tokens(other, action)).abs().sum(-1)[0] > 0
    assert moved.tolist() == [False, True, False, False]
    x = torch.randn(1, 4, 16)
    changed = x.clone()
    changed[:, 1] += 1
    moved = (model.latent_map(x) - model.latent_map(changed)).abs().sum((0, 1)) > 0
    assert moved.nonzero().tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


@torch.no_grad()
def test_without_its_switches_there_is_no_local_path() -> None:
    model = build(CONFIG)
    h = torch.randn(2, 6, 4, 4)
    local, skip = model.predict(h, torch.zeros(2, 8, 8, dtype=torch.int64), torch.zeros(2, 3))
    assert local is h
    assert skip is None
    assert model.skip is None
    assert model.decoder.vector is None


@torch.no_grad()
def test_the_local_path_reads_the_frame_before_and_the_action() -> None:
    model, h = build(SWITCHED), torch.randn(2, 6, 4, 4)
    codes, action = torch.zeros(2, 8, 8, dtype=torch.int64), torch.zeros(2, 3)
    local, skip = model.predict(h, codes, action)
    for other in ((codes + 1, action), (codes, action + 1)):
        other_local, other_skip = model.predict(h, *other)
        assert not torch.allclose(local, other_local)
        assert not torch.allclose(skip, other_skip)


@torch.no_grad()
def test_the_unknown_latent_is_the_same_everywhere() -> None:
    model = build(CONFIG)
    empty = model.empty_z(torch.randn(2, 6, 4, 4))
    assert torch.equal(empty, model.null_z[None, :, None, None].expand(2, 6, 4, 4))


def test_a_model_without_an_action_space_is_refused() -> None:
    with pytest.raises(ValueError, match=r"TecoConfig\.actions is None"):
        Teco(replace(CONFIG, actions=None))
