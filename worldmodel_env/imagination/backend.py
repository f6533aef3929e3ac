"""What runs a world's step: the interface that environments use, and the choice by name."""

from typing import Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagined, Sampling, State
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision

BackendName = Literal["auto", "torch"]


class Backend(Protocol):
    """A world's step on one device, holding no state of a roll-out.

    States are flat dicts of tensors on `device`, batch first (`imagination/step.py`).

    Attributes:
        name: what runs, such as "torch".
        device: where states live.
    """

    name: str
    device: torch.device

    def begin(self, codes: NDArray[np.integer]) -> State:
        """State after first frames, given as codes (B, g, g)."""
        ...

    def first(self, key: Tensor) -> NDArray[np.int64]:
        """Codes (B, g, g) of imagined first frames, for worlds that have learned them."""
        ...

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Codes (B, g, g) of frames (B, R, R, 3) uint8."""
        ...

    def decode(self, state: State) -> Tensor:
        """The frame (B, R, R, 3) uint8 that a state shows."""
        ...

    def step(self, state: State, action: NDArray, key: Tensor) -> tuple[State, Imagined]:
        """Imagine one transition of B worlds; `key` (B,) int64 is each row's noise key."""
        ...

    def observe(self, state: State, frames: NDArray[np.uint8], action: NDArray) -> State:
        """Take in real frames (B, R, R, 3) that `action` led to."""
        ...


def open_backend(
    world: World,
    backend: str = "auto",
    *,
    batch: int = 1,
    device: str = "auto",
    precision: Precision = "auto",
    threads: int = 1,
    sampling: Sampling | None = None,
) -> Backend:
    """The backend called `backend`, ready for `batch` worlds at a time.

    Raises:
        InputError: no such backend, or it cannot run here; none is replaced by another silently.
    """
    from worldmodel_env.imagination.torch_backend import TorchBackend

    if backend not in (known := get_args(BackendName)):
        raise InputError(f"backend is {backend!r}; choose one of {', '.join(map(repr, known))}.")
    return TorchBackend(
        world, device=device, precision=precision, threads=threads, sampling=sampling
    )
