"""Initial weights as the published JAX model has them; PyTorch's own defaults are other ones."""

import math

from torch import nn

from worldmodel_env.models.blocks import UnpatchLinear
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.temporal import Attention


def initialise_as_published(model: Teco) -> None:
    """Draw the initial weights anew, from torch's global generator.

    Linear maps and convolutions: normal, cut at two deviations, of variance 1 / fan-in; attention:
    the same, uncut; the prior's output: deviation 0.02; biases zero. Tables and start tokens are
    already the reference's (TECO sections 1.2 to 1.6). What the reference does not have, the
    outcome head and "z unknown", stays as it is.
    """
    own = set(model.outcome_head.modules())
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and module not in own:
            _lecun(module, module.weight[0].numel())
    for module in model.modules():
        if isinstance(module, Attention):
            for linear in (module.qkv, module.out):
                nn.init.normal_(linear.weight, std=linear.in_features**-0.5)
        elif isinstance(module, UnpatchLinear):
            # A transposed convolution there, whose fan-in counts its whole kernel.
            _lecun(module.conv, module.conv.in_channels * module.stride**2)
    nn.init.normal_(model.prior.head.linear.weight, std=0.02)


def _lecun(module: nn.Linear | nn.Conv2d, fan_in: int) -> None:
    # The factor restores the variance that the cut takes away.
    std = math.sqrt(1 / fan_in) / 0.87962566103423978
    nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
