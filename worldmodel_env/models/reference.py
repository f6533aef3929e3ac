"""A `Teco` from the parameters of the published JAX model (names and layouts of flax).

Loaded so, these pieces compute what the reference computes (`worldmodel check-parity`), given

- actions as everywhere here: the reference's array pairs actions[t+1] with frame t, so pass
  `actions[:, 1:]`;
- `known=False` where it has action -1, "no action": the last row of its table;
- `n_codes` where it has latent code -1, "masked".

`TemporalConfig.positions` is "absolute", the paper's; the other switches of `TecoConfig` are off.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from worldmodel_env.models.blocks import TecoResBlock
from worldmodel_env.models.flax_tree import FlaxTree
from worldmodel_env.models.reference_config import PRIOR, TEMPORAL, found_heads, infer_config
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.temporal import Attention, Layers, OutputHead


def load_reference(
    params: Mapping[str, np.ndarray],
    *,
    temporal_heads: int,
    maskgit_heads: int,
    window: int = 300,
) -> Teco:
    """Build the model that the parameters belong to; all its sizes are read off their shapes.

    The tokenizer's code vectors are not among them: copy those into `code_vectors`. Neither are
    `outcome_head` and `null_z`, which the reference does not have; they stay as initialised.

    Args:
        params: float arrays by flax name, such as `param/z_tfm/Dense_0/kernel`, all with the prefix
            `param/` or none. A parity file's `in/...` and `out/...` are passed over.
        temporal_heads: attention heads of the temporal transformer.
        maskgit_heads: attention heads of the prior.
        window: frames that a frame attends to, at least the length of the clips, which no parameter
            tells: the reference attends to all of a clip (300 frames in its longest sets).

    Returns:
        The model, float32, on the CPU.

    Raises:
        InputError: a parameter is missing, unknown or misshapen, or the heads are others than the
            parameters have; the message names it.
    """
    tree = FlaxTree(params)
    model = Teco(infer_config(tree, temporal_heads, maskgit_heads, window))
    with torch.no_grad():
        _fill(model, tree)
    tree.finish()
    return model


def reference_heads(params: Mapping[str, np.ndarray]) -> tuple[int, int]:
    """Attention heads of the temporal transformer and of the prior, as the parameters have them.

    Raises:
        InputError: the parameters that tell are missing or contradict one another.
    """
    tree = FlaxTree(params)
    return found_heads(tree, TEMPORAL), found_heads(tree, PRIOR)


def _fill(model: Teco, tree: FlaxTree) -> None:
    cfg = model.cfg
    grid, side = cfg.code_grid, cfg.grid // cfg.temporal_stride

    (table,) = model.action.tables
    assert isinstance(table, nn.Embedding)
    rows = tree.take("action_embeds/embedding", table.num_embeddings + 1, cfg.action_dim)
    table.weight.copy_(rows[:-1])
    model.action.null.copy_(rows[-1])

    encoder = model.encoder
    encoder.start.copy_(tree.take("sos_post", grid, grid, cfg.vq_dim).permute(2, 0, 1))
    _conv(encoder.input, tree, "encoder/layers_0/Conv_0")
    _res_blocks([encoder.high, *encoder.low], tree, "encoder/layers_0")
    _dense(encoder.out, tree, "encoder/layers_1")

    model.codebook.codebook.weight.copy_(tree.take("codebook/codebook", cfg.n_codes, cfg.code_dim))
    _dense(model.codebook.down, tree, "codebook/Dense_0")
    _dense(model.codebook.up, tree, "codebook/Dense_1")

    _conv(model.to_tokens.conv, tree, "z_proj")
    model.start.copy_(tree.take("sos", side, side, cfg.temporal.dim).flatten(0, 1))
    _dense(model.temporal.input, tree, f"{TEMPORAL}/Dense_0")
    _layers(model.temporal.layers, tree, TEMPORAL)
    _head(model.temporal.head, tree, f"{TEMPORAL}/Dense_1", f"{TEMPORAL}/LayerNorm_0")
    stride = cfg.temporal_stride
    kernel = tree.take("z_unproj/kernel", stride, stride, cfg.temporal.dim, cfg.embed_dim)
    # Flax's transposed convolution correlates: offset p of a patch is kernel[stride - 1 - p].
    patches = kernel.flip(0, 1).permute(3, 0, 1, 2).flatten(0, 2)
    model.from_tokens.conv.weight.copy_(patches[..., None, None])

    prior = model.prior
    half = cfg.prior.dim // 2
    prior.token.copy_(tree.take("z_git/token_embed", cfg.n_codes + 1, cfg.prior.vocab_dim))
    _dense(prior.input, tree, f"{PRIOR}/Dense_0")
    prior.row.copy_(tree.take(f"{PRIOR}/BroadcastPositionBiases_0/d_0", cfg.grid, half))
    prior.column.copy_(tree.take(f"{PRIOR}/BroadcastPositionBiases_0/d_1", cfg.grid, half))
    _layers(prior.layers, tree, PRIOR)
    _head(prior.trunk_head, tree, f"{PRIOR}/Dense_1", f"{PRIOR}/LayerNorm_0")
    _head(prior.head, tree, "z_git/mlm/Dense_0", "z_git/mlm/LayerNorm_0")
    prior.bias.copy_(tree.take("z_git/mlm/AddBias_0/bias", cfg.n_codes))

    decoder = model.decoder
    _conv(decoder.input, tree, "decoder/Conv_0")
    _res_blocks([*decoder.low, *decoder.high], tree, "decoder")
    _norm(decoder.norm, tree, "decoder/LayerNorm_0")
    _dense(decoder.out, tree, "decoder/Dense_0")


def _dense(module: nn.Linear | nn.Conv2d, tree: FlaxTree, name: str) -> None:
    """A linear map, which may be a 1x1 convolution here."""
    outputs, inputs = module.weight.shape[:2]
    module.weight.copy_(tree.take(f"{name}/kernel", inputs, outputs).T.view_as(module.weight))
    if module.bias is not None:
        module.bias.copy_(tree.take(f"{name}/bias", outputs))


def _conv(module: nn.Conv2d, tree: FlaxTree, name: str, bias: str | None = None) -> None:
    """A convolution, whose bias may be a module of its own there."""
    outputs, inputs, height, width = module.weight.shape
    kernel = tree.take(f"{name}/kernel", height, width, inputs, outputs)
    module.weight.copy_(kernel.permute(3, 2, 0, 1))
    if module.bias is not None:
        module.bias.copy_(tree.take(f"{bias or name}/bias", outputs))


def _norm(module: nn.LayerNorm | nn.GroupNorm, tree: FlaxTree, name: str) -> None:
    module.weight.copy_(tree.take(f"{name}/scale", len(module.weight)))
    module.bias.copy_(tree.take(f"{name}/bias", len(module.bias)))


def _res_blocks(blocks: Sequence[nn.Module], tree: FlaxTree, name: str) -> None:
    for number, block in enumerate(blocks):
        assert isinstance(block, TecoResBlock)
        place = f"{name}/ResNetBlock_{number}"
        _norm(block.norm1, tree, f"{place}/GroupNorm_0")
        _conv(block.conv1, tree, f"{place}/Conv_0")
        _norm(block.norm2, tree, f"{place}/GroupNorm_1")
        _conv(block.conv2, tree, f"{place}/Conv_1", bias=f"{place}/AddBias_0")
        if isinstance(block.shortcut, nn.Conv2d):
            _conv(block.shortcut, tree, f"{place}/skip")


def _layers(layers: Layers, tree: FlaxTree, name: str) -> None:
    for number, layer in enumerate(layers):
        place = f"{name}/TransformerLayer_{number}"
        _norm(layer.norm1, tree, f"{place}/LayerNorm_0")
        _attention(layer.attention, tree, f"{place}/MultiHeadAttention_0")
        _norm(layer.norm2, tree, f"{place}/LayerNorm_1")
        _dense(layer.mlp.up, tree, f"{place}/MlpBlock_0/wi")
        hidden, width = layer.mlp.down.in_features, layer.mlp.down.out_features
        layer.mlp.down.weight.copy_(tree.take(f"{place}/MlpBlock_0/wo/kernel", hidden, width).T)
        layer.mlp.down.bias.copy_(tree.take(f"{place}/MlpBlock_0/wo_bias/bias", width))


def _attention(module: Attention, tree: FlaxTree, name: str) -> None:
    width, heads = module.out.in_features, module.heads
    each = width // heads

    def projections(kind: str, *shape: int) -> list[Tensor]:
        return [tree.take(f"{name}/{which}/{kind}", *shape) for which in ("query", "key", "value")]

    kernels = torch.cat([k.flatten(1).T for k in projections("kernel", width, heads, each)])
    module.qkv.weight.copy_(kernels)
    module.qkv.bias.copy_(torch.cat([b.flatten() for b in projections("bias", heads, each)]))
    module.out.weight.copy_(tree.take(f"{name}/out/kernel", heads, each, width).flatten(0, 1).T)
    module.out.bias.copy_(tree.take(f"{name}/out_bias/bias", width))


def _head(module: OutputHead, tree: FlaxTree, linear: str, norm: str) -> None:
    _dense(module.linear, tree, linear)
    _norm(module.norm, tree, norm)
