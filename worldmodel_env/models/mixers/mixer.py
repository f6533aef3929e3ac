"""What a memory's rule looks like from outside, and the number format that it computes in."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn


class Mixer(nn.Module):
    """A rule by which frames write into a memory and read from it.

    Attributes:
        rows: R, of a head's state (R, d), whose columns are the head's d channels.
    """

    rows: int

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Take in T frames, one after the other.

        Args:
            x: (B, T, S, D), S tokens a frame.
            state: (B, heads, R, d) float32; zero at the beginning.

        Returns:
            What each token reads (B, T, S, D), and the state after the last frame.
        """
        raise NotImplementedError


def exact(x: Tensor) -> AbstractContextManager:
    """No autocast inside: thousands of updates in half precision would drown a state in errors."""
    device = x.device.type
    # A context that changes nothing would still be traced into exported graphs.
    if torch.is_autocast_enabled(device):
        return torch.autocast(device, enabled=False)
    return nullcontext()


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, S, D) -> (B, heads, T*S, d), float32: the frames' tokens in raster order."""
    return x.flatten(1, 2).unflatten(2, (heads, -1)).transpose(1, 2).float()


def join_heads(x: Tensor, tokens: int) -> Tensor:
    """(B, heads, T*S, d) -> (B, T, S, D)."""
    return x.transpose(1, 2).flatten(2).unflatten(1, (-1, tokens))
