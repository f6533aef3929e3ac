"""PatchGAN discriminator (Isola et al. 2017): is each patch of a frame real or reconstructed?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel_env.models.blocks import group_norm


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of a discriminator.

    Attributes:
        layers: convolutions with stride 2. A verdict sees a patch of 16, 34 or 70 pixels with 1, 2
            or 3 of them: smaller than the frame, or it judges frames instead of their texture.
        channels: width after the first convolution; doubles with each layer, up to eightfold.
    """

    layers: int = 3
    channels: int = 64


class Discriminator(nn.Module):
    """(B, 3, R, R) frames in [-1, 1] -> (B, 1, S, S) verdicts; high means real.

    The published one has batch normalisation, whose verdict on a frame depends on its neighbours
    in the batch (noise at B of 8, none at all at 1), differs between training and evaluation, and
    must be synchronised between processes. Group normalisation has none of this and keeps no
    statistics; real and reconstructed frames can go through in one batch.
    """

    def __init__(self, cfg: DiscriminatorConfig) -> None:
        super().__init__()
        width = cfg.channels
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer in range(1, cfg.layers + 1):
            stride = 2 if layer < cfg.layers else 1
            wider = cfg.channels * min(2**layer, 8)
            # The normalisation's own shift makes a bias of the convolution pointless.
            layers += [
                nn.Conv2d(width, wider, 4, stride=stride, padding=1, bias=False),
                group_norm(wider),
                nn.LeakyReLU(0.2),
            ]
            width = wider
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, 1, 4, padding=1))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Judge frames (B, 3, R, R) in [-1, 1]: (B, 1, S, S) verdicts."""
        return self.layers(x)


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
