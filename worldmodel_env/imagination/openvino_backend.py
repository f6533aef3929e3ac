"""OpenVINO as what runs exported graphs, on the CPU, in bfloat16 where it is multiplied there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.manifest import AGAIN, Export
from worldmodel_env.precision import Precision

HINTS = {"fp32": "f32", "bf16": "bf16"}


@dataclass(frozen=True)
class _Compiled:
    """A request of a compiled graph, which holds the tensors of one call at a time."""

    request: Any
    outputs: tuple[str, ...]
    lock: Lock = field(default_factory=Lock)


class OpenVino:
    """Graphs compiled by OpenVINO; see `Runtime` for the attributes.

    Files, inputs and outputs are float32 whatever the precision.
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
            compiled = _core().compile_model(model, "CPU", self._settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"OpenVINO cannot load {file} ({reason}); {AGAIN}.") from None
        outputs = tuple(x["name"] for x in described["outputs"])
        return _Compiled(compiled.create_infer_request(), outputs)

    def run(self, loaded: _Compiled, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name."""
        given = {name: tensor.numpy() for name, tensor in inputs.items()}
        with loaded.lock:
            results = loaded.request.infer(given, share_inputs=True)
            return {name: torch.from_numpy(results[i]) for i, name in enumerate(loaded.outputs)}


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
