"""Parameters of the published JAX model: their sizes, their layout, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.reference import load_reference, reference_heads
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.temporal import Layers, OutputHead, TemporalConfig

Params = dict[str, np.ndarray]

FILE = Path(__file__).parents[1] / "fixtures" / "teco-parity-micro.npz"
MICRO = TecoConfig(
    code_grid=16, vq_codes=64, vq_dim=16, actions=ActionConfig("discrete", choices=(6,)),
    depths=(32, 64), encoder_blocks=1, decoder_blocks=2, embed_dim=24, n_codes=128, code_dim=8,
    temporal_stride=4, temporal=TemporalConfig(64, 128, 4, 2, "absolute", window=300),
    prior=PriorConfig(48, 96, 4, 2, vocab_dim=32),
)  # fmt: skip
OTHERS = {
    "one token a frame": replace(
        MICRO, vq_codes=40, depths=(64, 32), encoder_blocks=3, decoder_blocks=1, embed_dim=20,
        temporal_stride=8, action_dim=5, temporal=TemporalConfig(48, 80, 3, 3, "absolute", 300),
    ),
    "many tokens a frame": replace(
        MICRO, vq_dim=7, n_codes=50, code_dim=11, temporal_stride=2,
        actions=ActionConfig("discrete", choices=(3,)), prior=PriorConfig(40, 72, 5, 1, 24),
    ),
    "smaller grid, equal depths": replace(
        MICRO, code_grid=8, depths=(32, 32), encoder_blocks=2, temporal=replace(
            MICRO.temporal, heads=8, layers=1
        ),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def params() -> Params:
    with np.load(FILE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if name.startswith("param/")}


def load(params: Params) -> Teco:
    return load_reference(params, temporal_heads=4, maskgit_heads=4)


def test_sizes_are_read_off_the_shapes(params: Params) -> None:
    assert load(params).cfg == MICRO
    assert reference_heads(params) == (4, 4)
    longer = load_reference(params, temporal_heads=4, maskgit_heads=4, window=500)
    assert longer.cfg.temporal.window == 500


def test_every_parameter_of_the_reference_is_used(params: Params) -> None:
    model = load(params)
    own = sum(p.numel() for p in model.outcome_head.parameters()) + model.null_z.numel()
    assert sum(p.numel() for p in model.parameters()) - own == sum(a.size for a in params.values())


def test_the_prefix_may_be_left_out(params: Params) -> None:
    bare = load({name.removeprefix("param/"): array for name, array in params.items()})
    for one, other in zip(
        bare.decoder.parameters(), load(params).decoder.parameters(), strict=True
    ):
        assert torch.equal(one, other)


def test_a_parity_file_is_a_tree_as_well() -> None:
    with np.load(FILE, allow_pickle=False) as file:
        assert load(file).cfg == MICRO


def test_each_missing_parameter_is_named(params: Params) -> None:
    for name in params:
        with pytest.raises(InputError, match=name):
            load({other: array for other, array in params.items() if other != name})


def test_each_misshapen_parameter_is_named(params: Params) -> None:
    for name, array in params.items():
        with pytest.raises(InputError, match=name):
            load({**params, name: array[..., :-1]})


@pytest.mark.parametrize("name", ["param/decoder/ResNetBlock_0/Conv_2/bias", "opt/count"])
def test_an_unknown_parameter_is_named(params: Params, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is unknown"):
        load({**params, name: np.zeros(3, np.float32)})


def test_integers_are_no_parameters(params: Params) -> None:
    name = "param/z_proj/kernel"
    with pytest.raises(InputError, match=f"{name} is int64"):
        load({**params, name: params[name].astype(np.int64)})


def test_other_heads_than_the_parameters_have_are_refused(params: Params) -> None:
    with pytest.raises(InputError, match="temporal_heads is 8, but z_tfm has 4 heads"):
        load_reference(params, temporal_heads=8, maskgit_heads=4)
    with pytest.raises(InputError, match="maskgit_heads is 0, but z_git/net has 4 heads"):
        load_reference(params, temporal_heads=4, maskgit_heads=0)


@pytest.mark.parametrize("name", OTHERS)
@torch.no_grad()
def test_models_of_other_sizes_survive_the_reference_layout(name: str) -> None:
    config = OTHERS[name]
    torch.manual_seed(0)
    model = Teco(config)
    for parameter in model.parameters():
        parameter.normal_(std=0.1)
    loaded = load_reference(
        as_flax(model), temporal_heads=config.temporal.heads, maskgit_heads=config.prior.heads
    )
    assert loaded.cfg == config
    loaded.code_vectors.copy_(model.code_vectors.normal_())
    torch.testing.assert_close(outputs(loaded), outputs(model), rtol=0, atol=0)


def outputs(model: Teco) -> list[Tensor]:
    """Of every piece that the reference has."""
    cfg = model.cfg
    generator = torch.Generator().manual_seed(1)
    side = cfg.code_grid
    codes = torch.randint(cfg.vq_codes, (2, 3, side, side), generator=generator)
    previous, current = (model.vectors(c) for c in (codes[:, 0], codes[:, 1]))
    latents = model.encoder(previous + model.encoder.start, current)
    z, quantised = model.codebook(latents)
    action = model.action(torch.tensor([0, 2]), torch.tensor([True, False]))
    tokens = model.tokens(z, action)
    sequence = torch.stack([model.start.expand_as(tokens), tokens], 1)
    h = model.latent_map(model.temporal(sequence)[:, 1])
    masked = quantised.codes.clone()
    masked[:, 0] = cfg.n_codes
    return [latents, quantised.codes, z, h, model.prior(masked, h), model.decode(h, z, None)]


def as_flax(model: Teco) -> Params:
    """The inverse of `load_reference`: parameters under the reference's names, in its layouts."""
    params: Params = {}
    cfg = model.cfg
    side = cfg.grid // cfg.temporal_stride

    def put(name: str, value: Tensor) -> None:
        params[f"param/{name}"] = value.detach().numpy().copy()

    def affine(name: str, module: nn.Module, bias: str | None = None) -> None:
        weight = module.weight
        if isinstance(module, nn.GroupNorm | nn.LayerNorm):
            put(f"{name}/scale", weight)
        elif isinstance(module, nn.Linear):
            put(f"{name}/kernel", weight.T)
        else:
            put(f"{name}/kernel", weight.permute(2, 3, 1, 0))
        if module.bias is not None:
            put(f"{bias or name}/bias", module.bias)

    def head(linear: str, norm: str, module: OutputHead) -> None:
        affine(linear, module.linear)
        affine(norm, module.norm)

    def blocks(name: str, modules: list[nn.Module]) -> None:
        for i, block in enumerate(modules):
            place = f"{name}/ResNetBlock_{i}"
            affine(f"{place}/GroupNorm_0", block.norm1)
            affine(f"{place}/Conv_0", block.conv1)
            affine(f"{place}/GroupNorm_1", block.norm2)
            affine(f"{place}/Conv_1", block.conv2, bias=f"{place}/AddBias_0")
            if not isinstance(block.shortcut, nn.Identity):
                affine(f"{place}/skip", block.shortcut)

    def layers(name: str, modules: Layers) -> None:
        for i, layer in enumerate(modules):
            place, attention = f"{name}/TransformerLayer_{i}", layer.attention
            inner, width = f"{place}/MultiHeadAttention_0", attention.out.in_features
            affine(f"{place}/LayerNorm_0", layer.norm1)
            affine(f"{place}/LayerNorm_1", layer.norm2)
            affine(f"{place}/MlpBlock_0/wi", layer.mlp.up)
            affine(f"{place}/MlpBlock_0/wo", layer.mlp.down, bias=f"{place}/MlpBlock_0/wo_bias")
            for j, which in enumerate(("query", "key", "value")):
                rows = slice(j * width, (j + 1) * width)
                weight, bias = attention.qkv.weight[rows], attention.qkv.bias[rows]
                put(f"{inner}/{which}/kernel", weight.T.reshape(width, attention.heads, -1))
                put(f"{inner}/{which}/bias", bias.reshape(attention.heads, -1))
            put(f"{inner}/out/kernel", attention.out.weight.T.reshape(attention.heads, -1, width))
            put(f"{inner}/out_bias/bias", attention.out.bias)

    put(
        "action_embeds/embedding",
        torch.cat([model.action.tables[0].weight, model.action.null[None]]),
    )
    put("sos_post", model.encoder.start.permute(1, 2, 0))
    affine("encoder/layers_0/Conv_0", model.encoder.input)
    blocks("encoder/layers_0", [model.encoder.high, *model.encoder.low])
    put("encoder/layers_1/kernel", model.encoder.out.weight[..., 0, 0].T)
    put("encoder/layers_1/bias", model.encoder.out.bias)
    put("codebook/codebook", model.codebook.codebook.weight)
    affine("codebook/Dense_0", model.codebook.down)
    affine("codebook/Dense_1", model.codebook.up)
    affine("z_proj", model.to_tokens.conv)
    put("sos", model.start.unflatten(0, (side, side)))
    affine("z_tfm/Dense_0", model.temporal.input)
    layers("z_tfm", model.temporal.layers)
    head("z_tfm/Dense_1", "z_tfm/LayerNorm_0", model.temporal.head)
    patches = model.from_tokens.conv.weight[..., 0, 0].unflatten(
        0, (-1, *[cfg.temporal_stride] * 2)
    )
    put("z_unproj/kernel", torch.einsum("eyxd->yxde", patches).flip(0, 1))
    put("z_git/token_embed", model.prior.token)
    affine("z_git/net/Dense_0", model.prior.input)
    put("z_git/net/BroadcastPositionBiases_0/d_0", model.prior.row)
    put("z_git/net/BroadcastPositionBiases_0/d_1", model.prior.column)
    layers("z_git/net", model.prior.layers)
    head("z_git/net/Dense_1", "z_git/net/LayerNorm_0", model.prior.trunk_head)
    head("z_git/mlm/Dense_0", "z_git/mlm/LayerNorm_0", model.prior.head)
    put("z_git/mlm/AddBias_0/bias", model.prior.bias)
    affine("decoder/Conv_0", model.decoder.input)
    blocks("decoder", [*model.decoder.low, *model.decoder.high])
    affine("decoder/LayerNorm_0", model.decoder.norm)
    affine("decoder/Dense_0", model.decoder.out)
    return params
