"""The sizes of a published JAX model, read off the shapes of its parameters."""

from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.flax_tree import FlaxTree, Place
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.temporal import TemporalConfig

TEMPORAL, PRIOR = "z_tfm", "z_git/net"  # the two transformers

_ENCODER = "encoder/layers_0"
_PLACE = f"{PRIOR}/BroadcastPositionBiases_0"

_SIZES = {
    "latent grid": (
        Place("sos_post", 0, per=2),
        Place(f"{_PLACE}/d_0", 0),
        Place(f"{_PLACE}/d_1", 0),
    ),
    "vq_codes": (Place("decoder/Dense_0/bias", 0), Place("decoder/Dense_0/kernel", 1)),
    "vq_dim": (Place("sos_post", 2), Place(f"{_ENCODER}/Conv_0/kernel", 2, per=2)),
    "upper depth": (
        Place(f"{_ENCODER}/Conv_0/bias", 0),
        Place(f"{_ENCODER}/ResNetBlock_0/Conv_0/bias", 0),
        Place("decoder/LayerNorm_0/scale", 0),
    ),
    "lower depth": (
        Place(f"{_ENCODER}/ResNetBlock_1/Conv_0/bias", 0),
        Place("encoder/layers_1/kernel", 0),
        Place("decoder/ResNetBlock_0/Conv_0/bias", 0),
    ),
    "embed_dim": (
        Place("encoder/layers_1/bias", 0),
        Place("codebook/Dense_0/kernel", 0),
        Place("codebook/Dense_1/kernel", 1),
    ),
    "n_codes": (
        Place("codebook/codebook", 0),
        Place("z_git/token_embed", 0, less=1),
        Place("z_git/mlm/AddBias_0/bias", 0),
    ),
    "code_dim": (
        Place("codebook/codebook", 1),
        Place("codebook/Dense_0/kernel", 1),
        Place("codebook/Dense_1/kernel", 0),
    ),
    "temporal_stride": (
        Place("z_proj/kernel", 0),
        Place("z_unproj/kernel", 0),
    ),
    "vocab_dim": (
        Place("z_git/token_embed", 1),
        Place("z_git/mlm/Dense_0/bias", 0),
        Place("z_git/mlm/LayerNorm_0/scale", 0),
    ),
}


def infer_config(
    tree: FlaxTree, temporal_heads: int, maskgit_heads: int, window: int
) -> TecoConfig:
    """The configuration of the model that `tree` belongs to; `window` is told by no parameter.

    Raises:
        InputError: a parameter that tells a size is missing, or they contradict one another.
    """
    size = {what: tree.size(what, *places) for what, places in _SIZES.items()}
    grid, stride = size["latent grid"], size["temporal_stride"]
    if grid % stride:
        raise InputError(
            f"parameter z_proj/kernel has stride {stride}, which does not divide the latent grid's "
            f"side {grid}; give the tree of one model."
        )
    action_dim = tree.size(
        "action_dim",
        Place("action_embeds/embedding", 1),
        Place("z_proj/kernel", 2, less=size["embed_dim"]),
    )
    # The last row stands for "no action".
    actions = tree.size("actions", Place("action_embeds/embedding", 0, less=1))
    decoder_blocks = tree.count("decoder/ResNetBlock_#")
    if decoder_blocks % 2:
        raise InputError(
            f"parameters decoder/ResNetBlock_# are {decoder_blocks} blocks, expected as many at "
            "either of two grids; give the whole tree of a model with two depths."
        )
    temporal = _transformer(tree, TEMPORAL, "temporal_heads", temporal_heads)
    prior = _transformer(tree, PRIOR, "maskgit_heads", maskgit_heads)
    return TecoConfig(
        code_grid=2 * grid,
        vq_codes=size["vq_codes"],
        vq_dim=size["vq_dim"],
        actions=ActionConfig("discrete", choices=(actions,)),
        depths=(size["upper depth"], size["lower depth"]),
        encoder_blocks=tree.count(f"{_ENCODER}/ResNetBlock_#") - 1,  # one is at the upper grid
        decoder_blocks=decoder_blocks // 2,
        embed_dim=size["embed_dim"],
        n_codes=size["n_codes"],
        code_dim=size["code_dim"],
        temporal_stride=stride,
        action_dim=action_dim,
        temporal=TemporalConfig(*temporal, positions="absolute", window=window),
        prior=PriorConfig(*prior, vocab_dim=size["vocab_dim"]),
    )


def found_heads(tree: FlaxTree, net: str) -> int:
    """Attention heads of a transformer (`TEMPORAL` or `PRIOR`), as its parameters have them."""
    attention = f"{net}/TransformerLayer_0/MultiHeadAttention_0"
    projections = (f"{attention}/{name}/bias" for name in ("query", "key", "value"))
    return tree.size(f"heads of {net}", *(Place(name, 0) for name in projections))


def _transformer(tree: FlaxTree, net: str, option: str, heads: int) -> tuple[int, int, int, int]:
    """Width, hidden width, heads, layers."""
    ends = (f"{net}/{name}/bias" for name in ("Dense_0", "Dense_1", "LayerNorm_0"))
    width = tree.size(f"width of {net}", *(Place(name, 0) for name in ends))
    mlp = f"{net}/TransformerLayer_0/MlpBlock_0"
    hidden = tree.size(
        f"hidden width of {net}",
        Place(f"{mlp}/wi/bias", 0),
        Place(f"{mlp}/wi/kernel", 1),
        Place(f"{mlp}/wo/kernel", 0),
    )
    found = found_heads(tree, net)
    if heads != found:
        raise InputError(f"{option} is {heads}, but {net} has {found} heads; give that number.")
    if width % heads:
        raise InputError(
            f"{option} is {heads}, which does not divide the width {width} of {net}; give the tree "
            "of a model whose heads are equally wide."
        )
    return width, hidden, heads, tree.count(f"{net}/TransformerLayer_#")
