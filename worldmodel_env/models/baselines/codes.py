"""What the baselines share: the grids of codes they model, and how those enter and leave a network.

A model reads an episode frame by frame (`begin`, `observe`) and imagines what an action leads to
(`imagine`), like `imagination/step.py` does with TECO.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.actions import ActionConfig

State = dict[str, Tensor]


@dataclass(frozen=True)
class CodeSpace:
    """What is modelled: frames as a tokenizer's codes, and the actions between them.

    Attributes:
        grid: side of a frame's code grid.
        n_codes: size of the codebook.
        dim: width of a code vector.
        actions: the action space.
    """

    grid: int = 8
    n_codes: int = 1024
    dim: int = 8
    actions: ActionConfig = field(default_factory=lambda: ActionConfig("discrete", choices=(3,)))


class Baseline(Protocol):
    """A video model on code grids; an `nn.Module`.

    Attributes:
        space: what it models.
        noise: random numbers that `imagine` needs for a frame.
        code_vectors: (K, E), the tokenizer's codebook, frozen.
    """

    space: CodeSpace
    noise: int
    code_vectors: Tensor

    def loss(
        self, codes: Tensor, actions: Tensor, valid: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """What training makes small.

        Args:
            codes: (B, T, g, g) int64.
            actions: (B, T-1) or (B, T-1, k); actions[:, t] leads from frame t to t+1.
            valid: (B, T) bool, False in padding, which is at the end.
            generator: of all random numbers, on the CPU.

        Returns:
            Terms by name, their sum as `loss`.
        """
        ...

    def begin(self, codes: Tensor) -> State:
        """The state after an episode's first frame (B, g, g); batch first, like all states."""
        ...

    def observe(self, state: State, codes: Tensor, action: Tensor) -> State:
        """Take in the real frame (B, g, g) that `action` (B,) or (B, k) led to."""
        ...

    def imagine(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Tensor]:
        """The frame (B, g, g) that `action` leads to, from `noise` (B, noise) in (0, 1)."""
        ...


class CodeHead(nn.Module):
    """Logits of codes: by a table, and by their vectors, with which learning starts sooner."""

    def __init__(self, width: int, space: CodeSpace) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.table = nn.Linear(width, space.n_codes)
        self.vector = nn.Linear(width, space.dim)

    def forward(self, x: Tensor, code_vectors: Tensor) -> Tensor:
        """(..., width) -> (..., K)."""
        x = self.norm(x)
        return self.table(x) + self.vector(x) @ code_vectors.T.to(x.dtype)


def vectors_of(codes: Tensor, code_vectors: Tensor) -> Tensor:
    """Codes (..., g, g) -> their vectors, channels first (..., E, g, g)."""
    return F.embedding(codes, code_vectors).movedim(-1, -3)


def cross_entropy(logits: Tensor, codes: Tensor, valid: Tensor) -> Tensor:
    """Nats per code, over valid frames.

    Args:
        logits: (N, P, K).
        codes: (N, P) int64.
        valid: (N,) bool.
    """
    ce = F.cross_entropy(logits.float().transpose(1, 2), codes, reduction="none").mean(1)
    return (ce * valid).sum() / valid.sum().clamp_min(1)


def normal(uniform: Tensor) -> Tensor:
    """Standard normal numbers out of uniform ones in (0, 1)."""
    return torch.special.ndtri(uniform.double()).float()
