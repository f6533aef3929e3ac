"""A masked model of windows of latent codes: what goes with what, before and after.

It sees the past and the future, and no frame outside its window. Trained on recorded windows it
knows what is likely; trained on a world's roll-outs, what that world does. What the one finds
likelier than the other is what the world should do less or more (`training/
distribution_matching.py`).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.actions import ActionConfig, ActionEmbedding
from worldmodel_env.models.temporal import Layers, OutputHead


@dataclass(frozen=True)
class CriticConfig:
    """Sizes of a critic.

    Attributes:
        frames: W, of its window.
        dim: width.
        mlp_dim: hidden width of the feed-forward layers.
        heads: attention heads.
        layers: transformer layers.
    """

    frames: int = 8
    dim: int = 128
    mlp_dim: int = 512
    heads: int = 4
    layers: int = 3


class WindowCritic(nn.Module):
    """Logits of every masked code of a window from all others and from the actions."""

    def __init__(self, cfg: CriticConfig, actions: ActionConfig, n_codes: int, grid: int) -> None:
        """`grid`: side of the latent grid; `n_codes`: of the latent codebook."""
        super().__init__()
        self.n_codes = n_codes
        # The last row stands for "masked".
        self.token = nn.Parameter(torch.randn(n_codes + 1, cfg.dim) * 0.02)
        self.time = nn.Parameter(torch.randn(cfg.frames, 1, cfg.dim) * 0.02)
        self.place = nn.Parameter(torch.randn(grid**2, cfg.dim) * 0.02)
        self.action = ActionEmbedding(actions, cfg.dim)
        self.layers = Layers(cfg.layers, cfg.dim, cfg.mlp_dim, cfg.heads)
        self.head = OutputHead(cfg.dim, cfg.dim)
        self.out = nn.Linear(cfg.dim, n_codes)

    def forward(self, codes: Tensor, actions: Tensor) -> Tensor:
        """Logits of each position.

        Args:
            codes: (B, W, g, g) int64; `n_codes` where masked.
            actions: (B, W) or (B, W, k), each the one that led to the frame.

        Returns:
            (B, W*g*g, n_codes).
        """
        x = F.embedding(codes.flatten(2), self.token) + self.time + self.place
        x = (x + self.action(actions)[:, :, None]).flatten(1, 2)
        for layer in self.layers:
            x = layer(x, F.scaled_dot_product_attention)
        return self.out(self.head(x))
