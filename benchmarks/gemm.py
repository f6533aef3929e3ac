"""How fast this machine multiplies matrices, at large shapes and at those of a world's step.

Measured in OpenVINO, which packs weights beforehand, as the fastest backend does; in torch where it
is not installed.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from worldmodel_env.imagination.export.graphs import Functions
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.world import World

Shape = tuple[int, int, int]
"""(M, K, N): rows, what is summed over, columns."""

LARGE: Shape = (1024, 1024, 1024)
WORK = 5e7
"""FLOP of one measurement, repeated: milliseconds, so that a burst of load spoils few of them."""


class Gemms:
    """The matrix products of a mean step, by shape; convolutions as the products they are.

    The prior's are needed in the share of steps in which any row draws z.

    Attributes:
        flops: of all of the step's products, attention and codebooks included.
        shapes: how often each shape occurs in a step, among the layers with weights.
    """

    def __init__(self, world: World, batch: int) -> None:
        sampling = world.config.sampling
        drawn = 1 - (1 - sampling.drawn) ** batch
        self.flops = 0.0
        self.shapes: defaultdict[Shape, float] = defaultdict(float)
        self._add(world.imagination(), batch, drawn)
        self._add(world.imagination(replace(sampling, steps=0, revisions=0)), batch, 1 - drawn)

    def _add(self, model: Imagination, batch: int, share: float) -> None:
        """Count the products of a step that is made in this share of steps."""
        graph = Functions.of(model, batch).graphs["step"]

        def count(module: nn.Module, _: Any, output: Tensor) -> None:
            assert isinstance(module.weight, Tensor)
            columns = module.weight.shape[0]
            self.shapes[output.numel() // columns, module.weight[0].numel(), columns] += share

        hooks = [
            module.register_forward_hook(count)
            for module in graph.modules()
            if isinstance(module, nn.Linear | nn.Conv2d)
        ]
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            graph(*graph.inputs.values())
        for hook in hooks:
            hook.remove()
        self.flops += share * counter.get_total_flops()

    def seconds(self, rate: Callable[[Shape], float]) -> float:
        """What the step would take if all products ran at the rates of their shapes."""
        counted = sum(2 * m * k * n * count for (m, k, n), count in self.shapes.items())
        time = sum(2 * m * k * n * c / rate((m, k, n)) for (m, k, n), c in self.shapes.items())
        return time * self.flops / counted


def rate(shape: Shape, precision: str, repeats: int = 7) -> float:
    """Best FLOP per CPU second of a product of this shape in one thread."""
    m, k, n = shape
    weights = max(1, min(16, round(WORK / (2 * m * k * n))))
    run = _runner(m, k, n, weights, precision)
    flops = 2 * m * k * n * weights
    calls = max(1, round(WORK / flops))
    run()
    best = np.inf
    for _ in range(repeats):
        began = time.process_time()
        for _ in range(calls):
            run()
        best = min(best, (time.process_time() - began) / calls)
    return flops / best


def _runner(m: int, k: int, n: int, weights: int, precision: str) -> Callable[[], object]:
    """Multiplies one matrix (M, K) with several weights (K, N) and sums the results."""
    rng = np.random.default_rng(0)
    left = rng.standard_normal((m, k), np.float32)
    rights = [rng.standard_normal((n, k), np.float32) / k for _ in range(weights)]
    try:
        import openvino
        from openvino import opset13
    except ImportError:
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        x = torch.from_numpy(left).to(dtype)
        tables = [torch.from_numpy(right).to(dtype) for right in rights]
        return lambda: [nn.functional.linear(x, table) for table in tables]
    x = opset13.parameter([m, k], np.float32)
    total = opset13.matmul(x, opset13.constant(rights[0]), False, True)
    for right in rights[1:]:
        total = opset13.add(total, opset13.matmul(x, opset13.constant(right), False, True))
    settings = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else "bf16",
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    model = openvino.Model([total], [x])
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    request.set_input_tensor(openvino.Tensor(left, shared_memory=True))
    return lambda: (request.infer(), left)  # which keeps the input alive
