"""Spatial MaskGit prior p(z_t | h_t): a bidirectional transformer over one frame's latent codes.

Chang et al. 2022; TECO section 1.6; draft-and-revise sampling: Lee et al. 2022, TECO section 3.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.models.prior import CodeTransformer
from worldmodel_env.models.sampling import Sampling, at, draw, gumbel, ranks, repeat


class Maskgit(CodeTransformer):
    """Logits of every masked code from the others and from h."""

    def forward(self, codes: Tensor, h: Tensor) -> Tensor:
        """Logits of each position.

        Args:
            codes: (B, g, g) int64; `n_codes` where masked.
            h: (B, e, g, g).

        Returns:
            (B, g*g, n_codes).
        """
        return self.logits(codes.flatten(1), h, causal=False)

    def scored(self, uniform: Tensor) -> Tensor:
        """How many positions of each frame `loss` scores (B,), from its `uniform` (B, 1 + g*g)."""
        return (self.grid**2 * torch.cos(math.pi / 2 * uniform[:, 0])).floor().clamp_min(1)

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
        masked = uniform[:, 1:].argsort(-1).argsort(-1) < self.scored(uniform)[:, None]
        flat = codes.flatten(1)
        logits = self(flat.masked_fill(masked, self.n_codes).view_as(codes), h)
        ce = F.cross_entropy(logits.float().transpose(1, 2), flat, reduction="none")
        return (ce * masked).sum(-1), masked.sum(-1)

    def passes(self, sampling: Sampling) -> int:
        """Forward passes of `sample`."""
        return sampling.passes

    def sample(
        self, h: Tensor, uniform: Tensor, sampling: Sampling, wanted: Tensor | None = None
    ) -> Tensor:
        """Draw a frame's codes: a draft, then revisions.

        Args:
            h: (B, e, g, g).
            uniform: (B, passes, 2, g*g) numbers in (0, 1): one draws the code by inverse CDF, one
                decides the order.
            sampling: steps, of 1 or more, and how.
            wanted: () bool; where it is false an exported graph draws nothing.

        Returns:
            (B, g, g) int64; `n_codes` where nothing was drawn.
        """
        codes = torch.full((h.shape[0], self.grid**2), self.n_codes, device=h.device)
        rounds = uniform.split(sampling.steps, 1)
        if sampling.order == "confidence":
            codes = self._surest_first(codes, h, rounds[0], sampling, wanted)
        else:
            codes = self._by_groups(codes, h, rounds[0], sampling, wanted)
        for noise in rounds[1:]:
            codes = self._by_groups(codes, h, noise, sampling, wanted)
        return codes.view(-1, self.grid, self.grid)

    def log_prob(self, codes: Tensor, h: Tensor, uniform: Tensor, sampling: Sampling) -> Tensor:
        """Log-probability that a draft draws just these codes.

        Exact for random groups. With the surest first, which come first depends on what is drawn
        for the others; they are taken to be these codes too.

        Args:
            codes: (B, g, g) int64.
            h: (B, e, g, g).
            uniform: (B, >= steps, 2, g*g) numbers in (0, 1), which decide the order as in `sample`.
            sampling: steps, temperature and order; the likeliest codes (temperature 0) count at 1.

        Returns:
            (B,) nats.
        """
        flat = codes.flatten(1)
        known = torch.zeros_like(flat, dtype=torch.bool)
        total = h.new_zeros(len(flat), dtype=torch.float32)
        chances, keeps = _pace(flat.shape[1], sampling, h.device)
        group = _groups(uniform, sampling)
        for step in range(sampling.steps):
            logits = self._look(flat.masked_fill(~known, self.n_codes), h)
            logprob = (logits / (sampling.temperature or 1.0)).log_softmax(-1)
            chosen = logprob.gather(-1, flat[..., None])[..., 0]
            now = group == step
            if sampling.order == "confidence":
                confidence = logits.detach().log_softmax(-1).gather(-1, flat[..., None])[..., 0]
                confidence = confidence + chances[step] * gumbel(uniform[:, step, 1])
                now = (ranks(confidence.masked_fill(known, math.inf)) < keeps[step]) & ~known
            total = total + (chosen * now).sum(-1)
            known = known | now
        return total

    def _surest_first(
        self, codes: Tensor, h: Tensor, uniform: Tensor, how: Sampling, wanted: Tensor | None
    ) -> Tensor:
        """Fill masked codes, most confident first; the cosine schedule says how many a pass."""
        chances, keeps = _pace(codes.shape[1], how, h.device)

        def fill(step: Tensor, codes: Tensor) -> Tensor:
            noise = at(uniform, step, 1)
            drawn, confidence = draw(self._look(codes, h), noise[:, 0], how)
            confidence = confidence + at(chances, step) * gumbel(noise[:, 1])
            known = codes != self.n_codes
            rank = ranks(confidence.masked_fill(known, math.inf))
            return torch.where(known, codes, torch.where(rank < at(keeps, step), drawn, codes))

        return repeat(how.steps, fill, codes, wanted)

    def _by_groups(
        self, codes: Tensor, h: Tensor, uniform: Tensor, how: Sampling, wanted: Tensor | None
    ) -> Tensor:
        """Draw every code once, in a random partition into `steps` groups, given all the others."""
        group = _groups(uniform, how)

        def draw_group(step: Tensor, codes: Tensor) -> Tensor:
            now = group == step
            logits = self._look(codes.masked_fill(now, self.n_codes), h)
            drawn, _ = draw(logits, at(uniform, step, 1)[:, 0], how)
            return torch.where(now, drawn, codes)

        return repeat(how.steps, draw_group, codes, wanted)

    def _look(self, codes: Tensor, h: Tensor) -> Tensor:
        return self(codes.view(-1, self.grid, self.grid), h).float()


def _pace(n: int, how: Sampling, place: torch.device) -> tuple[Tensor, Tensor]:
    """Of each pass, the surest first: how much chance decides, how many of n codes are fixed."""
    done = [(step + 1) / how.steps for step in range(how.steps)]
    chances = torch.tensor([how.temperature * (1 - d) for d in done], device=place)
    keeps = [n - math.floor(n * math.cos(math.pi / 2 * d)) for d in done]
    return chances, torch.tensor(keeps, device=place)


def _groups(uniform: Tensor, how: Sampling) -> Tensor:
    """(B, n) int64: the pass of `how.steps` that draws each position."""
    return ranks(uniform[:, 0, 1]) * how.steps // uniform.shape[-1]
