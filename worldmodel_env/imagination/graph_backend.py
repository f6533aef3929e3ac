"""The backend over a world's exported graphs, whatever runs them."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.graphs import NEXT, SHOWN
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Imagined, State
from worldmodel_env.imagination.window import frames_seen, refuse_full
from worldmodel_env.imagination.world import World

NEEDED = ("step", "begin", "decode")
"""Graphs of every episode; the others are loaded when they are first asked for."""

Loaded = Any
"""A graph that a runtime has loaded."""


class Runtime(Protocol):
    """Loads exported graphs for one number of rows, and runs them on the CPU.

    Attributes:
        name: such as "onnxruntime".
        precision: what is computed in, "fp32" or "bf16".
        batch: rows.
    """

    name: str
    precision: str
    batch: int

    def load(self, export: Export, graph: str) -> Loaded:
        """A graph, ready to run; InputError if the runtime refuses it."""
        ...

    def run(self, loaded: Loaded, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Outputs by name, in memory of their own; inputs are contiguous and left alone."""
        ...


class GraphBackend:
    """A world's step as exported graphs; it holds no state of a roll-out.

    States have the format of the export's weights, whatever the runtime computes in.

    Attributes:
        name: the runtime's.
        precision: what it computes in.
        device: the CPU.
        batch: how many rows every call must have.
    """

    device = torch.device("cpu")

    def __init__(self, world: World, export: Export, runtime: Runtime) -> None:
        """Load what every episode needs.

        Raises:
            InputError: the export is for another number of rows, or the runtime refuses it.
        """
        self.name = runtime.name
        self.precision = runtime.precision
        self.batch: int | None = runtime.batch
        if export.batch not in (None, self.batch):
            raise InputError(
                f"{export.folder} was exported for batches of {export.batch}, not {self.batch}; "
                "export it with `--batch dynamic`."
            )
        self._world = world
        self._export = export
        self._runtime = runtime
        self._loaded = {graph: runtime.load(export, graph) for graph in NEEDED}

    def __deepcopy__(self, memo: dict[int, Any]) -> "GraphBackend":
        # Environments are copied to plan ahead; what runs them need not be.
        return self

    def begin(self, codes: NDArray[np.integer]) -> State:
        """State after first frames, given as codes (B, g, g)."""
        return self._state(self._run("begin", {"codes": codes.astype(np.int64)}))

    def first(self, key: Tensor) -> NDArray[np.int64]:
        """Codes (B, g, g) of imagined first frames; `key` as in `step`.

        Raises:
            InputError: the world has not learned to imagine them.
        """
        if not self._export.has("first"):
            raise InputError(
                f"world {self._world.name!r} cannot imagine a first frame; begin with one of its "
                "starts or with a context."
            )
        # Step 0 of the noise, which no transition uses.
        noise = self._noise("first", key, torch.zeros_like(key))
        return self._run("first", noise)["codes"]

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Codes (B, g, g) of frames (B, R, R, 3) uint8."""
        return self._run("encode", {"frame": frames})["codes"]

    def decode(self, state: State) -> Tensor:
        """The frame (B, R, R, 3) uint8 that a state shows."""
        shown = self._run("decode", {"codes": state["codes"].numpy()})
        return torch.from_numpy(shown["frame"])

    def step(self, state: State, action: NDArray, key: Tensor) -> tuple[State, Imagined]:
        """Imagine one transition.

        Args:
            state: of B worlds.
            action: (B,) or (B, k), of the world's action space.
            key: (B,) int64, each row's noise key.
        """
        self._check({"action": action, "key": key})
        noise = self._noise("step", key, frames_seen(state))
        out = self._run("step", {**self._taken(state), "action": action, **noise})
        shown = {name: torch.from_numpy(out[name]) for name in SHOWN}
        return self._state(out), Imagined(**shown)

    def observe(self, state: State, frames: NDArray[np.uint8], action: NDArray) -> State:
        """Take in real frames (B, R, R, 3) that `action` led to."""
        inputs = {**self._taken(state), "frame": frames, "action": action}
        return self._state(self._run("observe", inputs))

    def _check(self, inputs: Mapping[str, NDArray | Tensor]) -> None:
        for name, array in inputs.items():
            if len(array) != self.batch:
                raise InputError(
                    f"{name!r} has {len(array)} rows, but this backend was opened for "
                    f"{self.batch}; open another with batch={len(array)}."
                )

    def _run(self, graph: str, inputs: dict[str, NDArray]) -> dict[str, NDArray]:
        self._check(inputs)
        if graph not in self._loaded:
            self._loaded[graph] = self._runtime.load(self._export, graph)
        contiguous = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        return self._runtime.run(self._loaded[graph], contiguous)

    def _noise(self, graph: str, key: Tensor, step: Tensor) -> dict[str, NDArray]:
        shape = self._export.noise_shape(graph)
        if shape is None:
            return {}
        return {"noise": uniform(key, step, int(np.prod(shape))).view(-1, *shape).numpy()}

    def _taken(self, state: State) -> dict[str, NDArray]:
        refuse_full(self._world.config.teco.temporal, state)
        return {name: state[name].numpy() for name in self._export.state}

    def _state(self, out: dict[str, NDArray]) -> State:
        return {name: torch.from_numpy(out[NEXT + name]) for name in self._export.state}
