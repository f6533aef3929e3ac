"""OpenVINO as what runs exported graphs, on the CPU, in bfloat16 where it is multiplied there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.graphs import NEXT
from worldmodel_env.imagination.export.manifest import AGAIN, Export
from worldmodel_env.models.mixers.state import is_ring
from worldmodel_env.precision import Precision

HINTS = {"fp32": "f32", "bf16": "bf16"}


@dataclass(frozen=True)
class _Compiled:
    """A request of a compiled graph, which holds the tensors of one call at a time.

    Attributes:
        request: OpenVINO's.
        inputs: names, in its order.
        outputs: likewise.
        halved: names of inputs and outputs that are bfloat16.
    """

    request: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    halved: frozenset[str]
    lock: Lock = field(default_factory=Lock)


class OpenVino:
    """Graphs compiled by OpenVINO; see `Runtime` for the attributes.

    Files, inputs and outputs are float32; in bf16 the rings are bfloat16, to which OpenVINO rounds
    keys and values in any case. Half the bytes to move make 16 worlds a sixth faster.
    """

    name = "openvino"
    device = torch.device("cpu")

    def __init__(self, *, batch: int, threads: int, precision: Precision = "auto") -> None:
        """Fix the number of rows, for which a dynamic export is then specialised.

        Raises:
            InputError: OpenVINO is not installed, or the processor has no such precision.
        """
        bf16 = "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bf16" and not bf16:
            raise InputError(
                "precision is 'bf16', which this processor does not multiply in hardware; use "
                "'fp32' or 'auto'."
            )
        self.precision = "bf16" if bf16 and precision != "fp32" else "fp32"
        self.batch = batch
        self._settings = {
            "INFERENCE_PRECISION_HINT": HINTS[self.precision],
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # The environments of several processes would all be pinned to the same core.
            "ENABLE_CPU_PINNING": False,
        }

    def load(self, export: Export, graph: str) -> _Compiled:
        """A graph, compiled.

        Raises:
            InputError: OpenVINO refuses the file.
        """
        file, described = export.file(graph), export.manifest["graphs"][graph]
        try:
            model = _core().read_model(str(file))
            # Kernels for any number of rows take nearly twice as long.
            model.reshape({x["name"]: [self.batch, *x["shape"][1:]] for x in described["inputs"]})
            halved = self._halved(described)
            compiled = _core().compile_model(_with_halved(model, halved), "CPU", self._settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"OpenVINO cannot load {file} ({reason}); {AGAIN}.") from None
        inputs, outputs = (
            tuple(x["name"] for x in described[way]) for way in ("inputs", "outputs")
        )
        return _Compiled(compiled.create_infer_request(), inputs, outputs, halved)

    def run(self, loaded: _Compiled, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name."""
        given = [_given(inputs[name], name in loaded.halved) for name in loaded.inputs]
        with loaded.lock:
            # One by one and by number: as a dict they are a quarter of what Python costs a step.
            for i, tensor in enumerate(given):
                loaded.request.set_input_tensor(i, tensor)
            results = loaded.request.infer()
            return {
                name: _torch(results[i], name in loaded.halved)
                for i, name in enumerate(loaded.outputs)
            }

    def _halved(self, described: Mapping[str, Any]) -> frozenset[str]:
        """Names of a graph's tensors that are passed in bfloat16."""
        if self.precision != "bf16":
            return frozenset()
        tensors = described["inputs"] + described["outputs"]
        return frozenset(
            x["name"]
            for x in tensors
            if is_ring(x["name"].removeprefix(NEXT)) and x["dtype"] == "float32"
        )


def _with_halved(model: Any, names: frozenset[str]) -> Any:
    """The model with these inputs and outputs in bfloat16."""
    if not names:
        return model
    import openvino
    from openvino.preprocess import PrePostProcessor

    edited = PrePostProcessor(model)
    for ports, edit in ((model.inputs, edited.input), (model.outputs, edited.output)):
        for name in names.intersection(port.any_name for port in ports):
            edit(name).tensor().set_element_type(openvino.Type.bf16)
    return edited.build()


def _given(tensor: Tensor, halved: bool) -> Any:
    """OpenVINO's view of a tensor; numpy, through which it looks, has no bfloat16."""
    import openvino

    if not halved:
        return openvino.Tensor(tensor.numpy(), shared_memory=True)
    bits = tensor.to(torch.bfloat16).view(torch.int16).numpy()
    return openvino.Tensor(bits, openvino.Shape(tensor.shape), openvino.Type.bf16)


def _torch(array: Any, halved: bool) -> Tensor:
    """A result; OpenVINO calls bfloat16 numpy's float16."""
    if not halved:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)


@cache
def _core() -> Any:
    try:
        import openvino
    except ImportError:
        raise InputError(
            "backend 'openvino' needs the package openvino; "
            'pip install "worldmodel-env[openvino]".'
        ) from None
    return openvino.Core()
