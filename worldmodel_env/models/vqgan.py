"""VQ-GAN: frames to a grid of discrete codes and back (Esser et al. 2021; TECO section 1.1)."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.blocks import (
    AttnBlock,
    Downsample,
    ResBlock,
    Upsample,
    float_to_frames,
    frames_to_float,
    group_norm,
)
from worldmodel_env.models.codebook import Codebook, Quantised


@dataclass(frozen=True)
class VqganConfig:
    """Sizes of a VQ-GAN.

    Attributes:
        resolution: side of the square frames, pixels.
        patch: pixels folded into channels at the input and unfolded at the output (1: none);
            2 saves the two thirds of the cost that full-resolution layers take.
        channels: width at the first level.
        multipliers: width factor of each level; each level after the first halves the resolution.
        blocks: residual blocks per level (the decoder has the same number).
        attention: grid sides at which levels and middle have self-attention.
        n_codes: size of the codebook.
        code_dim: width of a code vector.
        l2_normalise: codes on the unit sphere.
    """

    resolution: int = 64
    patch: int = 1
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: int = 2
    attention: tuple[int, ...] = (16,)
    n_codes: int = 1024
    code_dim: int = 256
    l2_normalise: bool = False

    @property
    def grid(self) -> int:
        """Side of the code grid."""
        return self.resolution // self.patch // 2 ** (len(self.multipliers) - 1)


class Encoder(nn.Module):
    """(B, 3, R, R) -> (B, code_dim, grid, grid)."""

    def __init__(self, cfg: VqganConfig) -> None:
        super().__init__()
        self.patch = cfg.patch
        width, side = cfg.channels, cfg.resolution // cfg.patch
        layers: list[nn.Module] = [nn.Conv2d(3 * cfg.patch**2, width, 3, padding=1)]
        for level, multiplier in enumerate(cfg.multipliers):
            if level:
                layers.append(Downsample(width))
                side //= 2
            for _ in range(cfg.blocks):
                layers.append(ResBlock(width, cfg.channels * multiplier))
                width = cfg.channels * multiplier
                if side in cfg.attention:
                    layers.append(AttnBlock(width))
        layers += _middle(width, side in cfg.attention)
        layers += [group_norm(width), nn.SiLU(), nn.Conv2d(width, cfg.code_dim, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Frames in [-1, 1] to latent vectors."""
        return self.layers(F.pixel_unshuffle(x, self.patch))


class Decoder(nn.Module):
    """(B, code_dim, grid, grid) -> (B, 3, R, R)."""

    def __init__(self, cfg: VqganConfig) -> None:
        super().__init__()
        self.patch = cfg.patch
        width, side = cfg.channels * cfg.multipliers[-1], cfg.grid
        layers: list[nn.Module] = [nn.Conv2d(cfg.code_dim, width, 3, padding=1)]
        layers += _middle(width, side in cfg.attention)
        for level, multiplier in reversed(list(enumerate(cfg.multipliers))):
            for _ in range(cfg.blocks):
                layers.append(ResBlock(width, cfg.channels * multiplier))
                width = cfg.channels * multiplier
                if side in cfg.attention:
                    layers.append(AttnBlock(width))
            if level:
                # Narrowing here, not in the block that follows, halves the dearest convolution.
                layers.append(Upsample(width, cfg.channels * cfg.multipliers[level - 1]))
                width = cfg.channels * cfg.multipliers[level - 1]
                side *= 2
        layers += [group_norm(width), nn.SiLU()]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, 3 * cfg.patch**2, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        """Code vectors to frames in about [-1, 1]."""
        return F.pixel_shuffle(self.last(self.layers(z)), self.patch)


def _middle(width: int, attention: bool) -> list[nn.Module]:
    if attention:
        return [ResBlock(width, width), AttnBlock(width), ResBlock(width, width)]
    return [ResBlock(width, width)]


class Vqgan(nn.Module):
    """Tokenizer of frames: encoder, codebook, decoder."""

    def __init__(self, cfg: VqganConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.encoder = Encoder(cfg)
        self.codebook = Codebook(cfg.n_codes, cfg.code_dim, l2_normalise=cfg.l2_normalise)
        self.decoder = Decoder(cfg)

    def latents(self, x: Tensor) -> Tensor:
        """(B, 3, R, R) in [-1, 1] -> (B, grid, grid, code_dim), before quantisation."""
        return self.encoder(x).permute(0, 2, 3, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Quantised]:
        """Reconstruct (B, 3, R, R); returns the reconstruction and the quantisation."""
        quantised = self.codebook(self.latents(x))
        return self.decoder(quantised.vectors.permute(0, 3, 1, 2)), quantised

    def encode(self, frames: Tensor) -> Tensor:
        """uint8 (B, R, R, 3) -> int64 codes (B, grid, grid), the same ones as `forward`'s."""
        latents = self.latents(frames_to_float(frames).to(self.decoder.last.weight.dtype))
        return self.codebook.nearest(self.codebook.normalise(latents))

    def decode(self, codes: Tensor) -> Tensor:
        """int64 codes (B, grid, grid) -> uint8 frames (B, R, R, 3)."""
        vectors = self.codebook.lookup(codes).permute(0, 3, 1, 2)
        return float_to_frames(self.decoder(vectors.to(self.decoder.last.weight.dtype)))
