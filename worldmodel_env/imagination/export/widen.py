"""An ONNX file in bfloat16 as one in float32, which computes with the same weights.

ONNX Runtime has few operators in bfloat16 on a CPU. Whether a graph is the right one can be
judged in float32 as well; how it rounds is for whoever runs it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto


def widen(source: Path, target: Path) -> None:
    """Write `target`: every tensor and every cast to bfloat16 in `source` is one to float32."""
    import onnx

    model = onnx.load(str(source))
    _widen_graph(model.graph)
    onnx.save(model, str(target))


def _widen_graph(graph: "GraphProto") -> None:
    from onnx import AttributeProto, TensorProto

    for tensor in graph.initializer:
        _widen_tensor(tensor)
    values: list[Any] = [*graph.input, *graph.output, *graph.value_info]
    for value in values:
        if value.type.tensor_type.elem_type == TensorProto.BFLOAT16:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            elif attribute.type == AttributeProto.GRAPH:
                _widen_graph(attribute.g)
            elif attribute.name in ("to", "dtype") and attribute.i == TensorProto.BFLOAT16:
                attribute.i = TensorProto.FLOAT


def _widen_tensor(tensor: "TensorProto") -> None:
    import numpy as np
    from onnx import TensorProto, numpy_helper

    if tensor.data_type == TensorProto.BFLOAT16:
        wide = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
