"""Exponential mean of a model's weights over training: steadier than the last step's weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Averages the parameters of one model; its buffers are copied as they are.

    Nothing but tensors is kept, each where and as the model's is, so the model may be on any
    device, or sharded.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's present weights.

        Args:
            model: what will be averaged.
            decay: weight of the past in each step, in [0, 1); 0.999 averages about 1,000 steps.
        """
        self._decay = decay
        self._averaged = {name for name, _ in model.named_parameters()}
        self._tensors = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Fold in the weights after optimizer step `step` (counted from 0).

        Early on the mean is over a tenth of the steps so far: the initial weights mean nothing.
        """
        decay = min(self._decay, (step + 1) / (step + 10))
        for name, value in model.state_dict().items():
            if name in self._averaged:
                self._tensors[name].lerp_(value, 1.0 - decay)
            else:
                self._tensors[name].copy_(value)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside, `model` has the averaged weights; after, its own again."""
        own = {k: v.detach().clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self._tensors)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights by the model's names; a state dict of the model. Not a copy."""
        return dict(self._tensors)

    @torch.no_grad()
    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` gave."""
        for name, value in self._tensors.items():
            value.copy_(tensors[name])
