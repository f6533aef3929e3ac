"""How the latent codes of an imagined frame are drawn from the prior."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from worldmodel_env.errors import InputError

Order = Literal["confidence", "random"]


@dataclass(frozen=True)
class Sampling:
    """How the next frame is drawn.

    The paper's draft-and-revise is `Sampling(8, order="random", revisions=2)`: 24 passes.

    Attributes:
        steps: passes of the prior over a frame; 0 asks it nothing and decodes with z unknown, which
            is the fastest and the least varied. An autoregressive prior takes one per code instead.
        temperature: of the draws; 0 takes the likeliest codes.
        order: which codes a draft fixes first: those the prior is surest of (MaskGit), or random
            groups of equal size (draft-and-revise).
        revisions: rounds after the draft in which every code is drawn once more, in `steps` random
            groups, given all the others.
        share: of the frames, chosen by chance, that are decoded with a drawn z; the others with z
            unknown. Drawn frames differ from the recorded ones from the first on; without any, a
            long roll-out loses its details one by one and ends before a plain wall.
        top_k: draws only from this many likeliest codes; 0 from all.
        refill: frames that are read again when the window of a model with absolute positions is
            full; with 0 the roll-out stops there. Other models slide and need none.
        still: a frame in which fewer than this share of the codes would change is the one before,
            to the bit. Where actions change either much or nothing, it keeps a player who pushes
            against a wall from melting through it; 0 lets everything change.
    """

    steps: int = 4
    temperature: float = 1.0
    order: Order = "confidence"
    revisions: int = 0
    share: float = 1.0
    top_k: int = 0
    refill: int = 0
    still: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range (InputError)."""
        for name in ("steps", "revisions", "top_k", "refill"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise InputError(f"sampling.{name} is {value!r}; give a whole number, 0 or more.")
        heat = self.temperature
        if not (isinstance(heat, int | float) and math.isfinite(heat) and heat >= 0):
            raise InputError(f"sampling.temperature is {heat!r}; give a number, 0 or more.")
        if not (isinstance(self.share, int | float) and 0 < self.share <= 1):
            raise InputError(
                f"sampling.share is {self.share!r}; give a share above 0 and up to 1, or steps=0 "
                "to draw no frame's z."
            )
        if not (isinstance(self.still, int | float) and 0 <= self.still < 1):
            raise InputError(
                f"sampling.still is {self.still!r}; give a share from 0 to below 1, 0 to let "
                "everything change."
            )
        if self.order not in (known := get_args(Order)):
            raise InputError(f"sampling.order is {self.order!r}; use one of {', '.join(known)}.")
        if self.revisions and not self.steps:
            raise InputError(
                f"sampling.revisions is {self.revisions} with 0 steps; give steps, 1 or more."
            )

    @property
    def drawn(self) -> float:
        """The share of frames whose z is drawn: 0 if the prior is not asked."""
        return self.share if self.steps else 0.0

    @property
    def sparing(self) -> bool:
        """Whether the prior's draw is used in some frames only."""
        return 0 < self.drawn < 1

    @property
    def passes(self) -> int:
        """Forward passes of a MaskGit prior per frame."""
        return self.steps * (1 + self.revisions)


def draw(logits: Tensor, uniform: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Sample each position by inverse CDF.

    Args:
        logits: (B, N, K).
        uniform: (B, N) in (0, 1).
        sampling: its temperature and top_k.

    Returns:
        Codes (B, N) int64 and their log-probability at temperature 1.
    """
    logprob = logits.log_softmax(-1)
    if sampling.temperature == 0:
        codes = logits.argmax(-1)
    else:
        if 0 < sampling.top_k < logits.shape[-1]:
            least = logits.topk(sampling.top_k, dim=-1).values[..., -1:]
            logits = logits.masked_fill(logits < least, -math.inf)
        cdf = (logits / sampling.temperature).softmax(-1).cumsum(-1)
        threshold = uniform[..., None] * cdf[..., -1:]
        codes = (cdf < threshold).sum(-1).clamp_max(logits.shape[-1] - 1)
    return codes, logprob.gather(-1, codes[..., None])[..., 0]


def repeat(
    count: int,
    body: Callable[[Tensor, Tensor], Tensor],
    codes: Tensor,
    wanted: Tensor | None = None,
) -> Tensor:
    """`codes = body(i, codes)` for the scalars i = 0 .. count - 1; one Loop in exported graphs.

    Unrolled, a graph of eight passes takes twice as long to export and to load, and steps slower.
    The Loop makes no pass where the bool `wanted` is false, for then nobody looks at the codes;
    without a graph asking would cost an accelerator more than the passes.
    """
    first = torch.zeros((), dtype=torch.int64, device=codes.device)
    if torch.compiler.is_exporting():
        from torch._higher_order_ops import while_loop

        begin = first if wanted is None else torch.where(wanted, first, count)
        return while_loop(
            lambda i, _: i < count, lambda i, codes: (i + 1, body(i, codes)), (begin, codes)
        )[1]
    for i in range(count):
        codes = body(first + i, codes)
    return codes


def at(x: Tensor, i: Tensor, dim: int = 0) -> Tensor:
    """The `i`-th slice of `x`, for a scalar that only the running graph knows."""
    return x.index_select(dim, i.view(1)).squeeze(dim)


def ranks(x: Tensor) -> Tensor:
    """Place of each of (B, N) numbers in descending order, from 0.

    By counting, not by sorting, which exports without a dynamic top-k.
    """
    return (x[:, :, None] < x[:, None, :]).sum(-1)


def gumbel(uniform: Tensor) -> Tensor:
    """Gumbel noise of numbers in (0, 1)."""
    return -torch.log(-torch.log(uniform.clamp(1e-6, 1 - 1e-6)))
