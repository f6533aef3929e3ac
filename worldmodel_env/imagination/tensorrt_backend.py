"""TensorRT as what runs a world's engines, on a CUDA device."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.engines import engine_of
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.precision import Precision, has_bf16, resolve_device

BUILD = "build engines for this GPU with `python exporters/to_tensorrt.py`"


@dataclass(frozen=True)
class _Loaded:
    """An execution context, which serves one call at a time, and what comes out of it."""

    context: Any
    outputs: dict[str, tuple[tuple[int, ...], torch.dtype]]
    lock: Lock = field(default_factory=Lock)


class TensorRt:
    """Engines of TensorRT or TensorRT-RTX; see `Runtime` for the attributes."""

    name = "tensorrt"

    def __init__(self, *, batch: int, device: str = "auto", precision: Precision = "auto") -> None:
        """Fix the number of rows, which must be among those that engines were built for.

        Raises:
            InputError: there is no CUDA device.
        """
        self.device = resolve_device(device)
        if self.device.type != "cuda":
            raise InputError(
                "backend 'tensorrt' needs a CUDA device, and torch "
                f"{'finds none' if device == 'auto' else f'was given {device!r}'}; use "
                "backend='torch', or 'openvino' for CPUs."
            )
        bf16 = precision == "bf16" or (precision == "auto" and has_bf16(self.device))
        self.precision = "bf16" if bf16 else "fp32"
        self.batch = batch
        # The default stream would make TensorRT wait for the device at every call.
        self._stream = torch.cuda.Stream(self.device)

    def load(self, export: Export, graph: str) -> _Loaded:
        """An engine, ready to run.

        Raises:
            InputError: it was built for other rows, by another TensorRT, or not for this GPU.
        """
        built = engine_of(export)
        least, _, most = built["rows"]
        if not least <= self.batch <= most:
            raise InputError(
                f"{export.folder} holds engines for {least} to {most} rows, not for {self.batch}; "
                "build others with --batch."
            )
        api = installed(built)
        log = api.Logger(api.Logger.ERROR)
        file = export.file(graph)
        with torch.cuda.device(self.device):
            engine = api.Runtime(log).deserialize_cuda_engine(file.read_bytes())
            context = None if engine is None else engine.create_execution_context()
        if context is None:
            raise InputError(
                f"{api.__name__} cannot load {file} on {torch.cuda.get_device_name(self.device)} "
                f"(the engine is for {', '.join(built['targets'])}); {BUILD}."
            )
        described = export.manifest["graphs"][graph]
        for given in described["inputs"]:
            context.set_input_shape(given["name"], self._shape(given))
        outputs = {
            x["name"]: (self._shape(x), getattr(torch, x["dtype"])) for x in described["outputs"]
        }
        return _Loaded(context, outputs)

    def run(self, loaded: _Loaded, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name; the work is queued, as torch's is."""
        outputs = {
            name: torch.empty(shape, dtype=dtype, device=self.device)
            for name, (shape, dtype) in loaded.outputs.items()
        }
        with loaded.lock:
            for name, tensor in {**inputs, **outputs}.items():
                loaded.context.set_tensor_address(name, tensor.data_ptr())
            present = torch.cuda.current_stream(self.device)
            self._stream.wait_stream(present)
            queued = loaded.context.execute_async_v3(self._stream.cuda_stream)
            present.wait_stream(self._stream)
        if not queued:
            raise RuntimeError("TensorRT could not run the engine; its own message says why")
        return outputs

    def _shape(self, tensor: Mapping[str, Any]) -> tuple[int, ...]:
        return (self.batch, *tensor["shape"][1:])


def installed(built: Mapping[str, Any]) -> Any:
    """The TensorRT that built some engines; InputError if it is not here, or another version."""
    try:
        api = importlib.import_module(built["package"])
    except ImportError:
        raise InputError(
            f"the engines need the package {built['package']}; pip install "
            '"worldmodel-env[tensorrt]" and build them again.'
        ) from None
    if api.__version__ != built["version"]:
        raise InputError(
            f"the engines were built by {built['package']} {built['version']}, and "
            f"{api.__version__} is installed; {BUILD}."
        )
    return api
