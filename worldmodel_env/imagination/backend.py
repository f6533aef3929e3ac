"""What runs a world's step: the interface that environments use, and the choice by name."""

from importlib.util import find_spec
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagined, State
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.precision import Precision, resolve_device

BackendName = Literal["auto", "torch", "torch-compiled", "openvino", "onnxruntime", "tensorrt"]


class Backend(Protocol):
    """A world's step on one device, holding no state of a roll-out.

    States are flat dicts of tensors on `device`, batch first (`imagination/step.py`).

    Attributes:
        name: what runs, such as "torch".
        precision: what it computes in: "fp32" or "bf16".
        device: where states live.
        batch: rows that every call must have; None: any number.
    """

    name: str
    precision: str
    device: torch.device
    batch: int | None

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

    Args:
        world: what to imagine.
        backend: "torch" runs everything; "torch-compiled" after minutes of compilation, with CUDA
            graphs on a GPU; "openvino" and "onnxruntime" run exports on the CPU, "tensorrt" engines
            on a GPU, which are made on first use; "auto" is what `fastest` says.
        batch: rows of every call.
        device: "auto", "cpu", "cuda", ...
        precision: "fp32", "bf16", or "auto": bf16 where the backend and the hardware have it.
        threads: CPU threads a step may use; one is best for small batches, and does not suffer when
            other processes are busy.
        sampling: instead of the world's own.

    Raises:
        InputError: no such backend, or it cannot run here; none is replaced by another silently.
    """
    if backend not in (known := get_args(BackendName)):
        raise InputError(f"backend is {backend!r}; choose one of {', '.join(map(repr, known))}.")
    for name, number in (("batch", batch), ("threads", threads)):
        if not isinstance(number, int) or number < 1:
            raise InputError(f"{name} is {number!r}; give a whole number, 1 or more.")
    if precision not in (known := get_args(Precision)):
        raise InputError(f"precision is {precision!r}; use one of {', '.join(known)}.")
    sampling = sampling or world.config.sampling
    if backend == "auto":
        backend = fastest(world, device=device, precision=precision, sampling=sampling)
    if backend in ("openvino", "onnxruntime", "tensorrt"):
        return _exported(backend, world, batch, device, precision, threads, sampling)
    from worldmodel_env.imagination.torch_backend import TorchBackend
    from worldmodel_env.imagination.torch_compiled import CompiledBackend

    if backend == "torch-compiled":
        return CompiledBackend(
            world,
            batch=batch,
            device=device,
            precision=precision,
            threads=threads,
            sampling=sampling,
        )
    return TorchBackend(
        world, device=device, precision=precision, threads=threads, sampling=sampling
    )


def fastest(
    world: World,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    sampling: Sampling | None = None,
) -> BackendName:
    """What "auto" stands for: the fastest backend that is ready to run.

    On a GPU torch. On a CPU, if the cache holds an export of the world (`worldmodel export` or a
    backend asked for by name puts it there): OpenVINO where it is installed, else ONNX Runtime,
    unless bf16 is asked for, which it has not. Else torch. Nothing is exported for "auto", so that
    a world used once does not cost a minute.
    """
    from worldmodel_env.imagination.export.cached import is_cached
    from worldmodel_env.imagination.export.manifest import Options

    if resolve_device(device).type != "cpu":
        return "torch"
    if not is_cached(world, Options(sampling or world.config.sampling)):
        return "torch"
    if find_spec("openvino"):
        return "openvino"
    return "onnxruntime" if find_spec("onnxruntime") and precision != "bf16" else "torch"


def _exported(
    backend: str,
    world: World,
    batch: int,
    device: str,
    precision: Precision,
    threads: int,
    sampling: Sampling,
) -> Backend:
    from worldmodel_env.imagination.export.cached import cached_export
    from worldmodel_env.imagination.export.manifest import Options
    from worldmodel_env.imagination.graph_backend import GraphBackend, Runtime
    from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
    from worldmodel_env.imagination.openvino_backend import OpenVino

    if sampling.refill:
        raise InputError(
            f"sampling.refill is {sampling.refill}, but backend {backend!r} cannot read frames "
            "again; use backend='torch'."
        )
    if backend == "tensorrt":
        return _engines(world, batch, device, precision, sampling)
    if device != "auto" and resolve_device(device).type != "cpu":
        raise InputError(
            f"device is {device!r}, but backend {backend!r} runs on the CPU; use device='cpu' or "
            "backend='torch'."
        )
    runtime: Runtime
    if backend == "openvino":
        runtime = OpenVino(batch=batch, threads=threads, precision=precision)
    else:
        runtime = OnnxRuntime(batch=batch, threads=threads, precision=precision)
    return GraphBackend(world, cached_export(world, Options(sampling)), runtime)


def _engines(
    world: World, batch: int, device: str, precision: Precision, sampling: Sampling
) -> Backend:
    from worldmodel_env.imagination.export.engines import (
        EngineOptions,
        cached_engines,
        find_package,
    )
    from worldmodel_env.imagination.graph_backend import GraphBackend
    from worldmodel_env.imagination.tensorrt_backend import TensorRt

    runtime = TensorRt(batch=batch, device=device, precision=precision)
    rows = (batch, batch, batch)
    options = EngineOptions(sampling, runtime.precision, rows, package=find_package())
    return GraphBackend(world, cached_engines(world, options), runtime)
