"""Spatial MaskGit prior p(z_t | h_t): a bidirectional transformer over one frame's latent codes.

Chang et al. 2022; TECO section 1.6.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.temporal import Layers, OutputHead


@dataclass(frozen=True)
class MaskgitConfig:
    """Sizes of the prior: width, hidden width, heads, layers, width of the token vectors."""

    dim: int = 512
    mlp_dim: int = 2048
    heads: int = 8
    layers: int = 8
    vocab_dim: int = 256


class Maskgit(nn.Module):
    """Logits of every masked code from the others and from h."""

    def __init__(self, cfg: MaskgitConfig, n_codes: int, embed_dim: int, grid: int) -> None:
        """`grid`: side of the latent grid; `embed_dim`: channels of h."""
        super().__init__()
        self.n_codes = n_codes
        self.grid = grid
        # The last row stands for "masked".
        self.token = nn.Parameter(torch.randn(n_codes + 1, cfg.vocab_dim) * 0.02)
        self.input = nn.Linear(cfg.vocab_dim + embed_dim, cfg.dim)
        self.row = nn.Parameter(torch.randn(grid, cfg.dim // 2) * 0.02)
        self.column = nn.Parameter(torch.randn(grid, cfg.dim // 2) * 0.02)
        self.layers = Layers(cfg.layers, cfg.dim, cfg.mlp_dim, cfg.heads)
        self.trunk_head = OutputHead(cfg.dim, cfg.dim)
        self.head = OutputHead(cfg.dim, cfg.vocab_dim)
        self.bias = nn.Parameter(torch.zeros(n_codes))

    def forward(self, codes: Tensor, h: Tensor) -> Tensor:
        """Logits of each position.

        Args:
            codes: (B, g, g) int64; `n_codes` where masked.
            h: (B, e, g, g).

        Returns:
            (B, g*g, n_codes).
        """
        g = self.grid
        tokens = F.embedding(codes.flatten(1), self.token)
        x = self.input(torch.cat([tokens, h.flatten(2).transpose(1, 2).to(tokens.dtype)], -1))
        place = torch.cat(
            [self.row[:, None].expand(g, g, -1), self.column[None].expand(g, g, -1)], -1
        )
        x = x + place.flatten(0, 1)
        for layer in self.layers:
            x = layer(x, F.scaled_dot_product_attention)
        x = self.head(self.trunk_head(x))
        return x @ self.token[: self.n_codes].T.to(x.dtype) + self.bias

    def loss(self, codes: Tensor, h: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy on masked positions.

        Each frame masks max(1, floor(g^2 cos(pi/2 r))) random positions, r ~ U(0, 1).

        Args:
            codes: (B, g, g) int64.
            h: (B, e, g, g).
            uniform: (B, 1 + g*g) random numbers in [0, 1): r, then the order of masking.

        Returns:
            Sum over the masked positions of each frame (B,), and their number (B,).
        """
        n = self.grid**2
        count = (n * torch.cos(math.pi / 2 * uniform[:, :1])).floor().clamp_min(1)
        masked = uniform[:, 1:].argsort(-1).argsort(-1) < count
        flat = codes.flatten(1)
        logits = self(flat.masked_fill(masked, self.n_codes).view_as(codes), h)
        ce = F.cross_entropy(logits.float().transpose(1, 2), flat, reduction="none")
        return (ce * masked).sum(-1), masked.sum(-1)

    def sample(self, h: Tensor, uniform: Tensor, *, steps: int, temperature: float) -> Tensor:
        """Draw a frame's codes in `steps` passes, most confident first (MaskGit, section 3.2).

        Args:
            h: (B, e, g, g).
            uniform: (B, steps, 2, g*g) numbers in (0, 1): one draws the code by inverse CDF, one
                the Gumbel noise on confidences.
            steps: passes; the number left masked follows the cosine schedule.
            temperature: of both draws; 0 takes the likeliest code everywhere.

        Returns:
            (B, g, g) int64.
        """
        n = self.grid**2
        codes = torch.full((h.shape[0], n), self.n_codes, device=h.device)
        for step in range(steps):
            logits = self(codes.view(-1, self.grid, self.grid), h).float()
            drawn, confidence = draw(logits, uniform[:, step, 0], temperature)
            gumbel = -torch.log(-torch.log(uniform[:, step, 1].clamp(1e-6, 1 - 1e-6)))
            confidence = confidence + temperature * (1 - (step + 1) / steps) * gumbel
            known = codes != self.n_codes
            confidence = confidence.masked_fill(known, math.inf)
            keep = n - math.floor(n * math.cos(math.pi / 2 * (step + 1) / steps))
            # Rank by counting, not by sorting: exports without a dynamic top-k.
            rank = (confidence[:, :, None] < confidence[:, None, :]).sum(-1)
            codes = torch.where(known, codes, torch.where(rank < keep, drawn, codes))
        return codes.view(-1, self.grid, self.grid)


def draw(logits: Tensor, uniform: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Sample each position by inverse CDF.

    Args:
        logits: (B, N, K).
        uniform: (B, N) in (0, 1).
        temperature: 0 takes the argmax.

    Returns:
        Codes (B, N) int64 and their log-probability at temperature 1.
    """
    logprob = logits.log_softmax(-1)
    if temperature == 0:
        codes = logits.argmax(-1)
    else:
        cdf = (logits / temperature).softmax(-1).cumsum(-1)
        threshold = uniform[..., None] * cdf[..., -1:]
        codes = (cdf < threshold).sum(-1).clamp_max(logits.shape[-1] - 1)
    return codes, logprob.gather(-1, codes[..., None])[..., 0]
