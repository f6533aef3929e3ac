"""The backend over a world's exported graphs, whatever runs them."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
    """Loads exported graphs for one number of rows, and runs them on one device.

    Attributes:
        name: such as "onnxruntime".
        precision: what is computed in, "fp32" or "bf16".
        batch: rows.
        device: where inputs and outputs live.
    """

    name: str
    precision: str
    batch: int
    device: torch.device

    def load(self, export: Export, graph: str) -> Loaded:
        """A graph, ready to run; InputError if the runtime refuses it."""
        ...

    def run(self, loaded: Loaded, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs by name, in memory of their own; inputs are contiguous and left alone."""
        ...


class GraphBackend:
    """A world's step as exported graphs; it holds no state of a roll-out.

    States have the format of the export's weights, whatever the runtime computes in; but the rings
    of one that multiplies in bfloat16 may be kept so.

    Attributes:
        name: the runtime's.
        precision: what it computes in.
        device: where states live.
        batch: how many rows every call must have.
    """

    def __init__(self, world: World, export: Export, runtime: Runtime) -> None:
        """Load what every episode needs.

        Raises:
            InputError: the export is for another number of rows, or the runtime refuses it.
        """
        self.name = runtime.name
        self.precision = runtime.precision
        self.device = runtime.device
        self.batch: int | None = runtime.batch
        if export.batch not in (None, self.batch):
            raise InputError(
                f"{export.folder} was exported for batches of {export.batch}, not {self.batch}; "
                "export it with `--batch dynamic`."
            )
        self._world = world
        self._export = export
        self._runtime = runtime
        # Side by side where there is more than one core: nearly all of the wait for a first frame.
        with ThreadPoolExecutor(len(NEEDED) if self.device.type == "cpu" else 1) as pool:
            found = pool.map(lambda graph: runtime.load(export, graph), NEEDED)
            self._loaded = dict(zip(NEEDED, found, strict=True))

    def __deepcopy__(self, memo: dict[int, Any]) -> "GraphBackend":
        # Environments are copied to plan ahead; what runs them need not be.
        return self

    def begin(self, codes: NDArray[np.integer]) -> State:
        """State after first frames, given as codes (B, g, g)."""
        return self._state(self._run("begin", {"codes": self._tensor(codes.astype(np.int64))}))

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
        return self._run("first", noise)["codes"].cpu().numpy()

    def encode(self, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Codes (B, g, g) of frames (B, R, R, 3) uint8."""
        return self._run("encode", {"frame": self._tensor(frames)})["codes"].cpu().numpy()

    def decode(self, state: State) -> Tensor:
        """The frame (B, R, R, 3) uint8 that a state shows."""
        return self._run("decode", {"codes": state["codes"]})["frame"]

    def step(self, state: State, action: NDArray, key: Tensor) -> tuple[State, Imagined]:
        """Imagine one transition.

        Args:
            state: of B worlds.
            action: (B,) or (B, k), of the world's action space.
            key: (B,) int64, each row's noise key.
        """
        self._check({"action": action, "key": key})
        noise = self._noise("step", key, frames_seen(state))
        out = self._run("step", {**self._taken(state), "action": self._tensor(action), **noise})
        return self._state(out), Imagined(**{name: out[name] for name in SHOWN})

    def observe(self, state: State, frames: NDArray[np.uint8], action: NDArray) -> State:
        """Take in real frames (B, R, R, 3) that `action` led to."""
        seen = {"frame": self._tensor(frames), "action": self._tensor(action)}
        return self._state(self._run("observe", {**self._taken(state), **seen}))

    def _check(self, inputs: Mapping[str, NDArray | Tensor]) -> None:
        for name, array in inputs.items():
            if len(array) != self.batch:
                raise InputError(
                    f"{name!r} has {len(array)} rows, but this backend was opened for "
                    f"{self.batch}; open another with batch={len(array)}."
                )

    def _run(self, graph: str, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        self._check(inputs)
        if graph not in self._loaded:
            self._loaded[graph] = self._runtime.load(self._export, graph)
        contiguous = {name: tensor.contiguous() for name, tensor in inputs.items()}
        return self._runtime.run(self._loaded[graph], contiguous)

    def _tensor(self, array: NDArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _noise(self, graph: str, key: Tensor, step: Tensor) -> dict[str, Tensor]:
        shape = self._export.noise_shape(graph)
        if shape is None:
            return {}
        return {"noise": uniform(key, step, int(np.prod(shape))).view(-1, *shape)}

    def _taken(self, state: State) -> dict[str, Tensor]:
        refuse_full(self._world.config.teco.temporal, state)
        return {name: state[name] for name in self._export.state}

    def _state(self, out: dict[str, Tensor]) -> State:
        return {name: out[NEXT + name] for name in self._export.state}
