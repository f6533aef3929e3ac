"""The step in eager PyTorch: the backend that always works, and the reference for the others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagination, Imagined, Sampling, State
from worldmodel_env.imagination.window import frames_seen, make_room
from worldmodel_env.imagination.world import World
from worldmodel_env.models.codebook import Codebook
from worldmodel_env.precision import Precision, resolve_device, resolve_dtype


class TorchBackend:
    """A world's step on one device, for batches of any size; it holds no state of a roll-out.

    Attributes:
        name: "torch".
        precision: "fp32" or "bf16".
        device: where tensors live.
        dtype: of the weights: bfloat16 halves the time where the hardware multiplies it.
        batch: None, for calls may have any number of rows.
    """

    name = "torch"
    batch: int | None = None

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
            InputError: no such device or precision, or no threads.
        """
        if not isinstance(threads, int) or threads < 1:
            raise InputError(f"threads is {threads!r}; give a whole number, 1 or more.")
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(precision, self.device)
        self.precision = "fp32" if self.dtype == torch.float32 else "bf16"
        self.threads = threads
        self.model = lowered(world.imagination(sampling), self.dtype).to(self.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> "TorchBackend":
        # Environments are copied to plan ahead; their weights need not be.
        return self

    @torch.no_grad()
    def begin(self, codes: NDArray[np.integer]) -> State:
        """State after first frames, given as codes (B, g, g)."""
        with _threads(self.threads):
            return self.model.begin(self._tensor(codes).long())

    @torch.no_grad()
    def first(self, key: Tensor) -> NDArray[np.int64]:
        """Codes (B, g, g) of imagined first frames; `key` as in `step`.

        Raises:
            InputError: the world has not learned to imagine them.
        """
        with _threads(self.threads):
            shape = self.model.first_noise_shape
            # Step 0 of the noise, which no transition uses.
            noise = uniform(key, torch.zeros_like(key), int(np.prod(shape))).view(-1, *shape)
            return self.model.first(noise).cpu().numpy()

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
            noise = uniform(key, frames_seen(state), count).view(-1, *shape)
            return self._step(make_room(self.model, state), self._tensor(action), noise)

    @torch.no_grad()
    def observe(self, state: State, frames: NDArray[np.uint8], action: NDArray) -> State:
        """Take in real frames (B, R, R, 3) that `action` led to."""
        with _threads(self.threads):
            state = make_room(self.model, state)
            return self.model.observe(state, self._tensor(frames), self._tensor(action))

    def _step(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Imagined]:
        return self.model.step(state, action, noise)

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.tensor(array, device=self.device)


@torch.no_grad()
def lowered(model: Imagination, dtype: torch.dtype) -> Imagination:
    """The model with its weights in `dtype`; codebooks stay as they are, in float32."""
    # Nearest codes are decided by small differences.
    books = [module for module in model.modules() if isinstance(module, Codebook)]
    exact = [book.weight.clone() for book in books]
    model.to(dtype)
    for book, weight in zip(books, exact, strict=True):
        book.float().weight.copy_(weight)
    return model


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
