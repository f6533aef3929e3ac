"""The step in eager PyTorch: the backend that always works, and the reference for the others."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagined, Sampling, State
from worldmodel_env.imagination.world import World
from worldmodel_env.models.codebook import Codebook
from worldmodel_env.precision import Precision, resolve_device, resolve_dtype


class TorchBackend:
    """A world's step on one device, for batches of any size; it holds no state of a roll-out.

    Attributes:
        name: "torch".
        device: where tensors live.
        dtype: of the weights: bfloat16 halves the time where the hardware multiplies it.
    """

    name = "torch"

    def __init__(
        self,
        world: World,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        threads: int = 1,
        sampling: Sampling | None = None,
    ) -> None:
        """Prepare a world.

        Args:
            world: what to imagine.
            device: "auto", "cpu", "cuda", ...
            precision: "fp32", "bf16", or "auto": bf16 where the hardware has it.
            threads: CPU threads a step may use; one is best for small batches, and does not
                suffer when other processes are busy.
            sampling: instead of the world's own.

        Raises:
            InputError: no such device or precision, no threads, or sampling out of range.
        """
        if not isinstance(threads, int) or threads < 1:
            raise InputError(f"threads is {threads!r}; give a whole number, 1 or more.")
        if sampling is not None:
            _check_sampling(sampling)
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(precision, self.device)
        self.threads = threads
        self.model = world.imagination(sampling).to(self.device, self.dtype)
        for module in self.model.modules():
            if isinstance(module, Codebook):
                module.float()  # nearest codes are decided by small differences

    def __deepcopy__(self, memo: dict[int, Any]) -> "TorchBackend":
        # Environments are copied to plan ahead; their weights need not be.
        return self

    @torch.no_grad()
    def begin(self, codes: NDArray[np.integer]) -> State:
        """State after first frames, given as codes (B, g, g)."""
        with _threads(self.threads):
            return self.model.begin(self._tensor(codes).long())

    @torch.no_grad()
    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Codes (B, g, g) of frames (B, R, R, 3) uint8."""
        with _threads(self.threads):
            return self.model.vqgan.encode(self._tensor(frames)).cpu().numpy()

    @torch.no_grad()
    def decode(self, state: State) -> Tensor:
        """The frame (B, R, R, 3) uint8 that a state shows."""
        with _threads(self.threads):
            return self.model.vqgan.decode(state["codes"])

    @torch.no_grad()
    def step(self, state: State, action: NDArray, key: Tensor) -> tuple[State, Imagined]:
        """Imagine one transition.

        Args:
            state: of B worlds.
            action: (B,) or (B, k), of the world's action space.
            key: (B,) int64, each row's noise key.
        """
        with _threads(self.threads):
            shape = self.model.noise_shape
            count = int(np.prod(shape))
            noise = uniform(key, state["index"], count).view(-1, *shape)
            return self.model.step(state, self._tensor(action), noise)

    @torch.no_grad()
    def observe(self, state: State, frames: NDArray[np.uint8], action: NDArray) -> State:
        """Take in real frames (B, R, R, 3) that `action` led to."""
        with _threads(self.threads):
            return self.model.observe(state, self._tensor(frames), self._tensor(action))

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.tensor(array, device=self.device)


def _check_sampling(sampling: Sampling) -> None:
    """InputError unless passes and temperature are numbers that sampling can use."""
    if not isinstance(sampling.steps, int) or sampling.steps < 0:
        raise InputError(f"sampling.steps is {sampling.steps!r}; give a whole number, 0 or more.")
    heat = sampling.temperature
    if not (isinstance(heat, int | float) and math.isfinite(heat) and heat >= 0):
        raise InputError(f"sampling.temperature is {heat!r}; give a number, 0 or more.")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Limit torch to `count` threads inside, and leave the user's setting alone outside."""
    before = torch.get_num_threads()
    if count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
