"""Actions of any Gymnasium space to one vector (TECO section 1.2)."""

from dataclasses import dataclass
from typing import Literal

import torch
from gymnasium import spaces
from torch import Tensor, nn

from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class ActionConfig:
    """What the embedding must know of an action space.

    Attributes:
        kind: one choice, several at once, or numbers.
        choices: options of each choice; empty for a box.
        low: lower bounds of a box; empty for choices.
        high: upper bounds of a box, above the lower ones.
    """

    kind: Literal["discrete", "multi_discrete", "box"]
    choices: tuple[int, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, space: spaces.Space) -> "ActionConfig":
        """Describe a space.

        Raises:
            InputError: it is not Discrete from 0, a vector of such choices, or a vector of numbers
                between bounds.
        """
        match space:
            case spaces.Discrete(start=0):
                return cls("discrete", choices=(int(space.n),))
            case spaces.MultiDiscrete(shape=(_,)) if not space.start.any():
                return cls("multi_discrete", choices=tuple(space.nvec.tolist()))
            case spaces.Box(shape=(_,)) if space.is_bounded() and (space.low < space.high).all():
                low, high = space.low.astype(float), space.high.astype(float)
                return cls("box", low=tuple(low.tolist()), high=tuple(high.tolist()))
        raise InputError(
            f"action space {space} is not supported; wrap the environment so that it is Discrete "
            "from 0, one-dimensional MultiDiscrete from 0, or a one-dimensional Box with bounds."
        )


class ActionEmbedding(nn.Module):
    """One vector per action, and one learned vector for "no action known".

    Choices have a table each, summed; a Box is scaled to [-1, 1] and mapped linearly.
    """

    low: Tensor
    high: Tensor

    def __init__(self, cfg: ActionConfig, dim: int) -> None:
        super().__init__()
        self.cfg = cfg
        self.null = nn.Parameter(torch.randn(dim) * dim**-0.5)
        if cfg.kind == "box":
            self.register_buffer("low", torch.tensor(cfg.low), persistent=False)
            self.register_buffer("high", torch.tensor(cfg.high), persistent=False)
            self.linear = nn.Linear(len(cfg.low), dim)
        else:
            self.tables = nn.ModuleList(nn.Embedding(n, dim) for n in cfg.choices)
            for table in self.tables:
                nn.init.normal_(table.weight, std=dim**-0.5)  # type: ignore[arg-type]

    def forward(self, actions: Tensor, known: Tensor | None = None) -> Tensor:
        """Embed a batch of actions.

        Args:
            actions: int64 (...) for Discrete, int64 (..., k) for MultiDiscrete, float (..., k) for
                Box.
            known: bool (...); False puts the null vector.

        Returns:
            (..., dim).
        """
        if self.cfg.kind == "box":
            scaled = 2 * (actions - self.low) / (self.high - self.low) - 1
            x = self.linear(scaled.to(self.linear.weight.dtype))
        elif self.cfg.kind == "discrete":
            x = self.tables[0](actions)
        else:
            x = torch.stack([t(actions[..., i]) for i, t in enumerate(self.tables)]).sum(0)
        return x if known is None else torch.where(known[..., None], x, self.null.to(x.dtype))

    def zeros(self, *shape: int, device: torch.device) -> Tensor:
        """Placeholder actions (*shape) or (*shape, k), in the dtype of real ones."""
        if self.cfg.kind == "discrete":
            return torch.zeros(shape, dtype=torch.int64, device=device)
        box = self.cfg.kind == "box"
        width = len(self.cfg.low) if box else len(self.cfg.choices)
        dtype = torch.float32 if box else torch.int64
        return torch.zeros(*shape, width, dtype=dtype, device=device)
