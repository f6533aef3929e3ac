"""Weights of an ONNX graph in 8 bits; spared are codebooks and what codes are drawn from.

The prior is spared as a whole where it is a loop, whose nodes do not tell their modules.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import NodeProto

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter notes the module that a node comes from."""

SPARED = ("codebook", "decoder.out", "decoder.vector", "prior.head", "outcome_head")
"""Parts of names of modules that stay as they are: small differences decide there."""

OUTPUT_AXIS = {"Conv": 0, "Gemm": 0, "MatMul": 1}
"""Operator -> the axis of its weight that each have a scale: one per output."""


def weights_in_8_bits(source: Path, target: Path) -> None:
    """Store weights as int8 with a scale per output channel; everything is computed as before.

    A runtime unpacks them when it loads the file, which is a quarter as large.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    axes = {node.input[1]: OUTPUT_AXIS[node.op_type] for node in graph.node if _is_layer(node)}
    kept, unpacked = [], []
    for tensor in graph.initializer:
        weight = numpy_helper.to_array(tensor)
        if tensor.name not in axes or weight.ndim < 2:
            kept.append(tensor)
            continue
        axis = axes[tensor.name]
        others = tuple(i for i in range(weight.ndim) if i != axis)
        scale = np.maximum(np.abs(weight).max(others, keepdims=True), 1e-12) / 127
        packed = np.rint(weight / scale).astype(np.int8)
        names = [f"{tensor.name}.int8", f"{tensor.name}.scale"]
        kept.append(numpy_helper.from_array(packed, names[0]))
        kept.append(numpy_helper.from_array(scale.ravel().astype(weight.dtype), names[1]))
        # Under the old name, so that whoever reads the weight need not change.
        unpacked.append(helper.make_node("DequantizeLinear", names, [tensor.name], axis=axis))
    nodes = list(graph.node)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(unpacked + nodes)
    graph.initializer.extend(kept)
    onnx.save(model, str(target))


def products_in_8_bits(source: Path, target: Path) -> None:
    """Let ONNX Runtime multiply matrices in int8, activations quantised as they come."""
    import onnx
    import onnx_ir
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(source))
    # Intermediate shapes that the exporter noted for other forms of a weight upset the quantiser.
    del model.graph.value_info[:]
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    logging.disable(logging.WARNING)  # it advises a preparation that changes nothing
    try:
        quantize_dynamic(
            model,
            str(target),
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[node.name for node in products if not _is_layer(node)],
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.disable(logging.NOTSET)
    quantised = onnx_ir.load(target)
    quantised.graph.sort()  # the quantiser forgets what loops read from outside
    onnx_ir.save(quantised, target)


METHODS = {"weights": weights_in_8_bits, "products": products_in_8_bits}


def _is_layer(node: "NodeProto") -> bool:
    """Whether a node is a linear layer or a convolution that may be quantised."""
    if node.op_type not in OUTPUT_AXIS:
        return False
    notes = {note.key: note.value for note in node.metadata_props}
    # A product of activations, or with a table of vectors, has no module of its own.
    of_layer = any(kind in notes.get("namespace", "") for kind in (".Linear/", ".Conv2d/"))
    return of_layer and not any(name in notes.get(SCOPES, "") for name in SPARED)
