"""A depthwise causal convolution over the last frames, place by place."""

import torch
from torch import Tensor, nn

FRAMES = 4


class ShortConv(nn.Module):
    """y_t = sum_j w_j * x_{t-j}, j = 0 .. 3, for each token's place and channel; at first y = x.

    Linear recurrences compare a frame with the one before it badly without it (Gu & Dao 2023; Yang
    et al. 2024). Over frames, not tokens, because a frame's tokens are simultaneous.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        start = torch.zeros(FRAMES, dim)
        start[0] = 1
        self.weight = nn.Parameter(start)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, T, S, D) and the three before them (B, 3, S, D); both for the next chunk."""
        t = x.shape[1]
        padded = torch.cat([past.to(x.dtype), x], 1)
        shifted = (padded[:, FRAMES - 1 - j : FRAMES - 1 - j + t] for j in range(FRAMES))
        y = torch.stack([w * frames for w, frames in zip(self.weight, shifted, strict=True)]).sum(0)
        return y, padded[:, -FRAMES + 1 :].to(past.dtype)
