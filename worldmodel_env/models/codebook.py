"""Vector quantisation by nearest neighbour, the codebook trained by gradient."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Quantised:
    """What `Codebook.forward` returns.

    Attributes:
        vectors: (..., D) chosen code vectors; gradients pass straight through to the input.
        codes: (...) int64 indices in [0, n_codes).
        commitment: (...) half the squared distance input -> code, meaned over D; pulls the encoder.
        codebook: (...) the same number, pulling the codebook.
    """

    vectors: Tensor
    codes: Tensor
    commitment: Tensor
    codebook: Tensor


class Codebook(nn.Module):
    """`n_codes` vectors of width `dim`.

    With `l2_normalise` inputs and codes lie on the unit sphere (TECO 1.4, ViT-VQGAN). Both of a
    world's codebooks collapse easily in the first hundred steps; training therefore starts them
    from data (`initialise`) and moves codes that nobody uses (`restart_dead`).
    """

    usage: Tensor

    def __init__(self, n_codes: int, dim: int, *, l2_normalise: bool = True) -> None:
        super().__init__()
        self.n_codes = n_codes
        self.l2_normalise = l2_normalise
        self.weight = nn.Parameter(torch.randn(n_codes, dim) * 0.02)
        # Share of recent inputs that chose each code (exponential mean); drives restarts.
        self.register_buffer("usage", torch.full((n_codes,), 1.0 / n_codes))

    def normalise(self, x: Tensor) -> Tensor:
        """Project onto the unit sphere in float32, if this codebook lives there."""
        x = x.float()
        return F.normalize(x, dim=-1, eps=1e-6) if self.l2_normalise else x

    def vectors(self) -> Tensor:
        """(n_codes, D) float32 code vectors as they are used."""
        return self.normalise(self.weight)

    def lookup(self, codes: Tensor) -> Tensor:
        """(...) int64 -> (..., D) float32."""
        return F.embedding(codes, self.vectors())

    def nearest(self, x: Tensor) -> Tensor:
        """(..., D) normalised inputs -> (...) int64 index of the nearest code.

        In float32 whatever the surrounding precision: small differences decide.
        """
        table = self.vectors()
        # Meta tensors, with which sizes and costs are counted, know no autocast.
        kind = "cpu" if x.is_meta else x.device.type
        with torch.autocast(kind, enabled=False):
            return largest(x.float() @ table.T - 0.5 * table.square().sum(-1))

    def forward(self, x: Tensor) -> Quantised:
        """Quantise (..., D). Computed in float32 whatever the surrounding precision."""
        x = self.normalise(x)
        codes = self.nearest(x.detach())
        chosen = self.lookup(codes)
        return Quantised(
            vectors=x + (chosen - x).detach(),
            codes=codes,
            commitment=0.5 * (x - chosen.detach()).square().mean(-1),
            codebook=0.5 * (x.detach() - chosen).square().mean(-1),
        )

    @torch.no_grad()
    def initialise(self, x: Tensor, generator: torch.Generator) -> None:
        """Place the codes on a random sample of inputs (N, D)."""
        pick = torch.randint(len(x), (self.n_codes,), generator=generator)
        self.weight.copy_(self._jitter(self.normalise(x)[pick.to(x.device)], generator))

    @torch.no_grad()
    def track(self, codes: Tensor, decay: float = 0.98) -> None:
        """Fold the codes of one batch into `usage`."""
        share = torch.bincount(codes.flatten(), minlength=self.n_codes).float() / codes.numel()
        self.usage.lerp_(share, 1.0 - decay)

    @torch.no_grad()
    def restart_dead(self, x: Tensor, generator: torch.Generator, threshold: float = 0.1) -> int:
        """Move codes used less than `threshold` of an equal share onto random inputs (N, D).

        Returns:
            How many codes were moved.
        """
        dead = self.usage < threshold / self.n_codes
        count = int(dead.sum())
        if count:
            pick = torch.randint(len(x), (count,), generator=generator)
            self.weight[dead] = self._jitter(self.normalise(x)[pick.to(x.device)], generator)
            self.usage[dead] = 1.0 / self.n_codes
        return count

    @staticmethod
    def _jitter(x: Tensor, generator: torch.Generator) -> Tensor:
        # Equal inputs (a blank wall) would make equal codes, of which argmax only ever picks one.
        return x + 0.01 * torch.randn(x.shape, generator=generator).to(x)


def largest(x: Tensor) -> Tensor:
    """`x.argmax(-1)`: of (..., K), the first place of the largest number, (...) int64.

    In exported graphs as two reductions, for OpenVINO's own search takes ten times as long.
    """
    if not torch.compiler.is_exporting():
        return x.argmax(-1)
    k = x.shape[-1]
    rows = x.flatten(0, -2)
    place = torch.arange(k, device=x.device)
    found = torch.where(rows == rows.amax(-1, keepdim=True), place, k).amin(-1)
    return found.view(x.shape[:-1])


def perplexity(codes: Tensor, n_codes: int) -> Tensor:
    """exp(entropy) of the code histogram: how many codes are in use, in [1, n_codes]."""
    share = torch.bincount(codes.flatten(), minlength=n_codes).float() / codes.numel()
    return torch.exp(-(share * torch.log(share.clamp_min(1e-10))).sum())


def share_used(codes: Tensor, n_codes: int) -> float:
    """Share of the `n_codes` codes that occur at least once in `codes`, in (0, 1]."""
    return len(torch.unique(codes)) / n_codes
