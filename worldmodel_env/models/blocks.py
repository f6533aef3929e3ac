"""Convolutional pieces shared by the tokenizer and TECO."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def group_norm(channels: int) -> nn.GroupNorm:
    """The tokenizer's GroupNorm: 32 groups, fewer where a group would have under 4 channels."""
    return nn.GroupNorm(math.gcd(32, channels // 4), channels, eps=1e-6)


def teco_group_norm(channels: int) -> nn.GroupNorm:
    """TECO's GroupNorm: always 32 groups; widths that 32 does not divide follow the tokenizer."""
    return group_norm(channels) if channels % 32 else nn.GroupNorm(32, channels, eps=1e-6)


class ResBlock(nn.Module):
    """GN-swish-conv-GN-swish-conv with a 1x1 shortcut where channels change (VQ-GAN)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        y = self.conv1(F.silu(self.norm1(x)))
        y = self.conv2(F.silu(self.norm2(y)))
        return self.shortcut(x) + y


class AttnBlock(nn.Module):
    """Single-head self-attention over the positions of a feature map (VQ-GAN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, c, h * w).transpose(2, 3).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(y.transpose(1, 2).reshape(b, c, h, w))


class Upsample(nn.Module):
    """Nearest x2, then conv 3x3: exports everywhere, unlike a transposed convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', 2H, 2W)."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Downsample(nn.Module):
    """Conv 3x3 with stride 2 after padding right and bottom by one, as in VQ-GAN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, 2H, 2W) -> (B, C, H, W)."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class TecoResBlock(nn.Module):
    """TECO's residual block: GN-ELU-conv-GN-ELU-conv, branch scaled by 0.1 (TECO appendix)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm1 = teco_group_norm(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm2 = teco_group_norm(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        y = self.conv1(F.elu(self.norm1(x)))
        y = self.conv2(F.elu(self.norm2(y)))
        return self.shortcut(x) + 0.1 * y


class PatchLinear(nn.Module):
    """A convolution with kernel = stride = s: one linear map per s x s patch, no overlap."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, stride, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, sH, sW) -> (B, C', H, W)."""
        return self.conv(x)


class UnpatchLinear(nn.Module):
    """The transpose of `PatchLinear`: equals ConvTranspose2d(kernel = stride = s, bias=False).

    Written as a 1x1 convolution and a pixel shuffle, because TensorRT refuses the transposed
    convolution in bfloat16.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(in_channels, out_channels * stride * stride, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', sH, sW)."""
        return F.pixel_shuffle(self.conv(x), self.stride)


def frames_to_float(frames: Tensor) -> Tensor:
    """uint8 (..., H, W, 3) in [0, 255] -> float (..., 3, H, W) in [-1, 1]."""
    # Cast first: TensorRT takes uint8 as an input and moves no bytes about.
    return frames.float().movedim(-1, -3) / 127.5 - 1.0


def float_to_frames(x: Tensor) -> Tensor:
    """Float (..., 3, H, W) in about [-1, 1] -> uint8 (..., H, W, 3), rounded and clipped."""
    # Cast last, for the same reason.
    return ((x.float() + 1.0) * 127.5).round().clamp(0, 255).movedim(-3, -1).to(torch.uint8)
