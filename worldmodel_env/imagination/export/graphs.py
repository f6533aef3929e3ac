"""A world's functions with flat, named tensors in and out: what an exported file computes.

    begin    codes -> state
    step     state, action, noise -> state, frame, reward, termination, surprise
    observe  state, frame, action -> state
    encode   frame -> codes
    decode   codes -> frame
    first    noise -> codes                 only of worlds that imagine first frames

`begin`, `step` and `observe` are those of `imagination/step.py`, which say what each tensor is. A
state goes in under its own names and comes out as `next_*`. Noise is asked for only where it is
used: not by a `step` that decodes with z unknown.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from worldmodel_env.imagination.step import Imagination, State

NEXT = "next_"
"""What the names of a state's tensors begin with when they come out."""

SHOWN = ("frame", "reward", "termination", "surprise")
"""Outputs of `step` besides the state."""


class Graph(nn.Module):
    """One function, and tensors to call it with.

    Attributes:
        name: of the function.
        inputs: name -> example, batch first.
        outputs: names, in the order of `forward`'s results.
    """

    def __init__(
        self,
        name: str,
        model: Imagination,
        call: Callable[[dict[str, Tensor]], dict[str, Tensor]],
        inputs: dict[str, Tensor],
    ) -> None:
        """`call`: inputs by name to outputs by name, with the weights of `model`."""
        super().__init__()
        self.name = name
        self.model = model
        self.inputs = inputs
        self._call = call
        with torch.no_grad():
            self.outputs = tuple(call(inputs))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Results in the order of `outputs`."""
        results = self._call(dict(zip(self.inputs, inputs, strict=True)))
        return tuple(results[name] for name in self.outputs)


@dataclass(frozen=True)
class Functions:
    """All graphs of one model, for batches like the examples'."""

    graphs: dict[str, Graph]
    state: tuple[str, ...]

    @classmethod
    @torch.no_grad()
    def of(cls, model: Imagination, batch: int) -> "Functions":
        """The functions of `model`, with examples of `batch` rows."""
        grid, side = model.teco.cfg.code_grid, model.vqgan.cfg.resolution
        device = model.teco.start.device
        codes = torch.zeros(batch, grid, grid, dtype=torch.int64, device=device)
        frame = torch.zeros(batch, side, side, 3, dtype=torch.uint8, device=device)
        action = model.teco.action.zeros(batch, device=device)
        state = model.begin(codes)
        noise = {"noise": torch.full((batch, *model.noise_shape), 0.5, device=device)}
        names = tuple(state)

        def begin(x: dict[str, Tensor]) -> dict[str, Tensor]:
            return _out(model.begin(x["codes"]))

        def step(x: dict[str, Tensor]) -> dict[str, Tensor]:
            following, imagined = model.step(_state(x, names), x["action"], x.get("noise", codes))
            return _out(following) | {name: getattr(imagined, name) for name in SHOWN}

        def observe(x: dict[str, Tensor]) -> dict[str, Tensor]:
            return _out(model.observe(_state(x, names), x["frame"], x["action"]))

        def encode(x: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"codes": model.vqgan.encode(x["frame"])}

        def decode(x: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"frame": model.vqgan.decode(x["codes"])}

        def first(x: dict[str, Tensor]) -> dict[str, Tensor]:
            return {"codes": model.first(x["noise"])}

        used = noise if model.sampling.steps else {}
        calls = [
            (begin, {"codes": codes}),
            (step, {**state, "action": action, **used}),
            (observe, {**state, "frame": frame, "action": action}),
            (encode, {"frame": frame}),
            (decode, {"codes": codes}),
        ]
        if model.teco.cfg.first_frame:
            shape = (batch, *model.first_noise_shape)
            calls.append((first, {"noise": torch.full(shape, 0.5, device=device)}))
        graphs = [Graph(call.__name__, model, call, inputs) for call, inputs in calls]
        return cls({graph.name: graph for graph in graphs}, names)


def _state(x: dict[str, Tensor], names: tuple[str, ...]) -> State:
    return {name: x[name] for name in names}


def _out(state: State) -> dict[str, Tensor]:
    return {NEXT + name: tensor for name, tensor in state.items()}
