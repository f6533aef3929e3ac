"""Autoregressive prior p(z_t | h_t): code after code in raster order, the ablation of MaskGit."""

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.models.prior import CodeTransformer
from worldmodel_env.models.sampling import Sampling, at, draw, repeat


class Autoregressive(CodeTransformer):
    """Logits of every code from those before it and from h."""

    def forward(self, codes: Tensor, h: Tensor) -> Tensor:
        """Logits of each position given the codes before it.

        Args:
            codes: (B, g, g) int64; each only matters to later positions.
            h: (B, e, g, g).

        Returns:
            (B, g*g, n_codes).
        """
        before = F.pad(codes.flatten(1)[:, :-1], (1, 0), value=self.n_codes)
        return self.logits(before, h, causal=True)

    def scored(self, uniform: Tensor) -> Tensor:
        """How many positions of each frame `loss` scores (B,): all."""
        return torch.full_like(uniform[:, 0], self.grid**2)

    def loss(self, codes: Tensor, h: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of all positions.

        Args:
            codes: (B, g, g) int64.
            h: (B, e, g, g).
            uniform: ignored: nothing is masked at random.

        Returns:
            Sum over the positions of each frame (B,), and their number (B,).
        """
        flat = codes.flatten(1)
        logits = self(codes, h).float().transpose(1, 2)
        ce = F.cross_entropy(logits, flat, reduction="none").sum(-1)
        return ce, torch.full_like(flat[:, 0], flat.shape[1])

    def passes(self, sampling: Sampling) -> int:
        """Forward passes of `sample`: one per code, whatever the sampling."""
        return self.grid**2

    def sample(
        self, h: Tensor, uniform: Tensor, sampling: Sampling, wanted: Tensor | None = None
    ) -> Tensor:
        """Draw a frame's codes one after another.

        Args:
            h: (B, e, g, g).
            uniform: (B, g*g, 2, g*g) numbers in (0, 1), of which each pass uses one.
            sampling: its temperature and top_k.
            wanted: () bool; where it is false an exported graph draws nothing.

        Returns:
            (B, g, g) int64.
        """
        codes = torch.zeros(h.shape[0], self.grid**2, dtype=torch.int64, device=h.device)
        places = torch.arange(codes.shape[1], device=h.device)

        def draw_next(place: Tensor, codes: Tensor) -> Tensor:
            logits = at(self(codes.view(-1, self.grid, self.grid), h), place, 1)[:, None].float()
            noise = at(at(uniform, place, 1)[:, 0], place, 1)
            drawn, _ = draw(logits, noise[:, None], sampling)
            return torch.where(places == place, drawn, codes)

        codes = repeat(codes.shape[1], draw_next, codes, wanted)
        return codes.view(-1, self.grid, self.grid)
