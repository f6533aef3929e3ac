"""ONNX Runtime as what runs exported graphs, on the CPU."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.manifest import AGAIN, Export
from worldmodel_env.precision import Precision

PROVIDERS = ["CPUExecutionProvider"]


class OnnxRuntime:
    """Sessions of ONNX Runtime; see `Runtime` for the attributes."""

    name = "onnxruntime"
    precision = "fp32"
    device = torch.device("cpu")

    def __init__(self, *, batch: int, threads: int, precision: Precision = "auto") -> None:
        """Fix the number of rows, for which a dynamic export is then specialised.

        Raises:
            InputError: ONNX Runtime is not installed, or is asked for bf16.
        """
        try:
            import onnxruntime
        except ImportError:
            raise InputError(
                "backend 'onnxruntime' needs the package onnxruntime; "
                'pip install "worldmodel-env[onnx]".'
            ) from None
        if precision == "bf16":
            raise InputError(
                "precision is 'bf16', in which ONNX Runtime cannot convolve on a CPU; use 'fp32', "
                "or backend='openvino'."
            )
        self.batch = batch
        self._api = onnxruntime
        self._options = options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; its warnings are for who wrote the file
        # A waiting thread must not keep a core from whoever works.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Weights that are stored in 8 bits are unpacked once, not at every step.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        options.add_free_dimension_override_by_name("batch", batch)

    def load(self, export: Export, graph: str) -> Any:
        """A session of a graph.

        Raises:
            InputError: ONNX Runtime refuses the file, or would run it elsewhere than asked.
        """
        file = export.file(graph)
        try:
            session = self._api.InferenceSession(str(file), self._options, providers=PROVIDERS)
        except Exception as error:  # its classes are private, and all mean the same here
            reason = str(error).splitlines()[0]
            raise InputError(f"ONNX Runtime cannot load {file} ({reason}); {AGAIN}.") from None
        # A provider that is missing would otherwise be replaced silently.
        if session.get_providers() != PROVIDERS:
            raise InputError(
                f"ONNX Runtime offers {session.get_providers()} instead of {PROVIDERS}; reinstall "
                "it with `pip install --force-reinstall onnxruntime`."
            )
        return session

    def run(self, loaded: Any, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name."""
        names = [output.name for output in loaded.get_outputs()]
        results = loaded.run(names, {name: tensor.numpy() for name, tensor in inputs.items()})
        return {name: torch.from_numpy(x) for name, x in zip(names, results, strict=True)}
