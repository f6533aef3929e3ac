"""The step compiled by torch, for one number of rows; on a GPU replayed as a CUDA graph."""

from typing import Any

import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.graphs import NEXT, SHOWN, Functions
from worldmodel_env.imagination.step import Imagined, State
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World


class CompiledBackend(TorchBackend):
    """`TorchBackend` with a compiled step; everything else runs as there.

    Attributes:
        name: "torch-compiled".
        batch: rows that every step must have.
    """

    name = "torch-compiled"

    def __init__(self, world: World, *, batch: int, **settings: Any) -> None:
        """Compile the step, which takes minutes the first time.

        Args:
            world: what to imagine.
            batch: rows of every step.
            **settings: of `TorchBackend`.

        Raises:
            InputError: a setting out of its range, or torch cannot compile here.
        """
        super().__init__(world, **settings)
        self.batch = batch
        self._graph = graph = Functions.of(self.model, batch).graphs["step"]
        self._graphed = self.device.type == "cuda"
        # On a GPU the launches of hundreds of small kernels take longer than the kernels.
        mode = "reduce-overhead" if self._graphed else "default"
        self._compiled = torch.compile(graph, dynamic=False, fullgraph=True, mode=mode)
        try:
            with torch.no_grad():
                self._compiled(*graph.inputs.values())
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(
                f"torch cannot compile here ({reason}); install a C++ compiler, or use "
                "backend='torch'."
            ) from None

    def _step(self, state: State, action: Tensor, noise: Tensor) -> tuple[State, Imagined]:
        if len(action) != self.batch:
            raise InputError(
                f"'action' has {len(action)} rows, but this backend was opened for {self.batch}; "
                f"open another with batch={len(action)}."
            )
        given = {**state, "action": action, "noise": noise}
        results = self._compiled(*(given[name] for name in self._graph.inputs))
        if self._graphed:  # the next replay writes into the same memory
            results = tuple(result.clone() for result in results)
        out = dict(zip(self._graph.outputs, results, strict=True))
        following = {name: out[NEXT + name] for name in state}
        return following, Imagined(**{name: out[name] for name in SHOWN})
