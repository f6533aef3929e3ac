"""What the two priors p(z_t | h_t) share: a transformer from latent codes and h to logits.

`maskgit.py` is the paper's; `autoregressive.py` is its ablation.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.temporal import Layers, OutputHead


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior.

    Attributes:
        dim: width.
        mlp_dim: hidden width of the feed-forward layers.
        heads: attention heads.
        layers: transformer layers.
        vocab_dim: width of the vectors that stand for codes.
        kind: `maskgit` fills a frame in a few passes; `autoregressive` goes code by code.
    """

    dim: int = 512
    mlp_dim: int = 2048
    heads: int = 8
    layers: int = 8
    vocab_dim: int = 256
    kind: Literal["maskgit", "autoregressive"] = "maskgit"


class CodeTransformer(nn.Module):
    """Codes and h to logits; which codes a position sees is the caller's."""

    def __init__(self, cfg: PriorConfig, n_codes: int, embed_dim: int, grid: int) -> None:
        """`grid`: side of the latent grid; `embed_dim`: channels of h."""
        super().__init__()
        self.n_codes = n_codes
        self.grid = grid
        # The last row stands for "masked", or for what comes before the first code.
        self.token = nn.Parameter(torch.randn(n_codes + 1, cfg.vocab_dim) * 0.02)
        self.input = nn.Linear(cfg.vocab_dim + embed_dim, cfg.dim)
        self.row = nn.Parameter(torch.randn(grid, cfg.dim // 2) * 0.02)
        self.column = nn.Parameter(torch.randn(grid, cfg.dim // 2) * 0.02)
        self.layers = Layers(cfg.layers, cfg.dim, cfg.mlp_dim, cfg.heads)
        self.trunk_head = OutputHead(cfg.dim, cfg.dim)
        self.head = OutputHead(cfg.dim, cfg.vocab_dim)
        self.bias = nn.Parameter(torch.zeros(n_codes))

    def logits(self, codes: Tensor, h: Tensor, *, causal: bool) -> Tensor:
        """Logits (B, N, n_codes) from codes (B, N), `n_codes` for the last row, and h (B, e, g, g).

        `causal`: positions see themselves and earlier ones only, in raster order.
        """
        g = self.grid
        tokens = F.embedding(codes, self.token)
        x = self.input(torch.cat([tokens, h.flatten(2).transpose(1, 2).to(tokens.dtype)], -1))
        place = torch.cat(
            [self.row[:, None].expand(g, g, -1), self.column[None].expand(g, g, -1)], -1
        )
        x = x + place.flatten(0, 1)

        def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

        for layer in self.layers:
            x = layer(x, mix)
        x = self.head(self.trunk_head(x))
        return x @ self.token[: self.n_codes].T.to(x.dtype) + self.bias
