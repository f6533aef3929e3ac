"""Does an export compute what the model computes? Both step from the same states, then compare.

Teacher-forced: after each step both go on from the model's state. Left to themselves one code that
rounds to the other side would make all later frames differ; `exporters/verify.py` measures that.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.graphs import NEXT, Functions, Graph
from worldmodel_env.imagination.export.manifest import Export, Options
from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
from worldmodel_env.models.mixers.state import is_ring

BATCHES = (1, 2, 5)
STEPS = 6
LIMITS = {"fp32": (0.999, 2e-4), "fp16": (0.97, 5e-2), "bf16": (0.99, 2e-2)}
"""Precision -> the smallest share of equal codes, and the largest difference of the cache. Of bf16
files copies in float32 are compared (`widen.py`), whose constants alone are rounded."""

DRAWN = 0.6
"""The smallest share of codes where z is drawn in less than fp32: rounding turns some draws."""


def check_parity(export: Export, functions: Functions, options: Options) -> dict[str, float]:
    """Compare every graph with the model, in several batches and across the ring's wrap.

    Returns:
        `codes`: share of equal codes; `latent`, `shown`: share of equal values of latents, and of
        frames, rewards, terminations and surprises, in rows whose codes are equal; `cache`: largest
        difference of keys and values.

    Raises:
        InputError: a share is too small or the difference too large.
    """
    tally = _Tally()
    for batch in BATCHES if options.batch is None else (options.batch,):
        runtime = OnnxRuntime(batch=batch, threads=1)
        loaded = {name: runtime.load(export, name) for name in functions.graphs}
        for graph, inputs in _calls(functions, batch):
            tally.add(_model(graph, inputs), runtime.run(loaded[graph.name], inputs))
    measured = tally.result()
    share, difference = LIMITS[options.precision]
    drawn = 0.0 if options.precision == "fp32" else options.sampling.drawn
    least = dict.fromkeys(measured, share) | {"codes": (1 - drawn) * share + drawn * DRAWN}
    shares = [value >= least[name] for name, value in measured.items() if name != "cache"]
    if not (all(shares) and measured["cache"] <= difference):
        numbers = ", ".join(f"{name} {value:.5g}" for name, value in measured.items())
        raise InputError(
            f"the {options.precision} export differs from the model ({numbers}; needed: shares of "
            f"{share}, of codes {least['codes']:.3f}, a cache within {difference}); "
            "nothing was written: export fp32, or report this."
        )
    return measured


@torch.no_grad()
def _model(graph: Graph, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(graph.outputs, graph(*inputs.values()), strict=True))


def _calls(functions: Functions, batch: int) -> Iterator[tuple[Graph, dict[str, Tensor]]]:
    """Calls of every graph with random inputs; `step` and `observe` in a chain."""
    rng = np.random.default_rng(0)
    graphs = functions.graphs
    random = {name: _random(graph, batch, rng) for name, graph in graphs.items()}
    for name in set(graphs) - {"step", "observe"}:
        yield graphs[name], random[name]
    began = _model(graphs["begin"], random["begin"])
    state = {name: began[NEXT + name] for name in functions.state}
    window = graphs["step"].model.teco.cfg.temporal.window
    # Rings as full as after any number of steps: nearly, just, and long ago.
    for name in filter(is_ring, state):
        state[name] = torch.from_numpy(rng.standard_normal(state[name].shape)).to(state[name])
    for name in {"places", "pose"} & set(state):
        state[name] = torch.from_numpy(rng.uniform(-2, 2, state[name].shape)).to(state[name])
    near = torch.tensor([window - 3, 1, window - 1, 0, 2])
    laps = torch.tensor([0, 0, 1, 1, 7])
    if graphs["step"].model.bounded:
        laps, near = 0 * laps, near.clamp(0, window - 1 - STEPS)
    for name in {"index", "recalled"} & set(state):
        state[name] = (near + laps * window).clamp_min(1).repeat(batch)[:batch]
    for t in range(STEPS):
        name = "observe" if t == STEPS // 2 else "step"
        inputs = {**_random(graphs[name], batch, rng), **state}
        yield graphs[name], inputs
        following = _model(graphs[name], inputs)
        state = {key: following[NEXT + key] for key in functions.state}


def _random(graph: Graph, batch: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """Inputs of a graph, those of a state aside, which stay as in its example."""
    teco = graph.model.teco.cfg
    assert teco.actions is not None
    drawn: dict[str, NDArray] = {}
    for name, example in graph.inputs.items():
        shape = (batch, *example.shape[1:])
        if name == "codes":
            drawn[name] = rng.integers(0, teco.vq_codes, shape)
        elif name == "frame":
            drawn[name] = rng.integers(0, 256, shape, dtype=np.uint8)
        elif name == "noise":
            drawn[name] = rng.uniform(1e-6, 1 - 1e-6, shape)
        elif name == "action" and teco.actions.kind == "box":
            drawn[name] = rng.uniform(teco.actions.low, teco.actions.high, shape)
        elif name == "action":
            drawn[name] = rng.integers(0, teco.actions.choices, (batch, len(teco.actions.choices)))
            drawn[name] = drawn[name].reshape(shape)
        else:
            drawn[name] = np.resize(example.numpy(), shape)
    return {name: torch.from_numpy(x).to(graph.inputs[name].dtype) for name, x in drawn.items()}


class _Tally:
    """Shares and differences over calls."""

    def __init__(self) -> None:
        self.equal: dict[str, list[tuple[int, int]]] = {"codes": [], "latent": [], "shown": []}
        self.cache = 0.0

    def add(self, want: Mapping[str, Tensor], got: Mapping[str, Tensor]) -> None:
        """Compare the outputs of one call."""
        codes = next((name for name in ("codes", NEXT + "codes") if name in want), None)
        rows = torch.ones(len(next(iter(want.values()))), dtype=torch.bool)
        if codes is not None:
            same = (want[codes] == got[codes]).flatten(1)
            self._count("codes", same)
            rows = same.all(1)
        for name, expected in want.items():
            result = got[name]
            if is_ring(name.removeprefix(NEXT)):
                self.cache = max(self.cache, float((expected.float() - result.float()).abs().max()))
            elif name != codes:
                kind = "latent" if name.startswith(NEXT) else "shown"
                self._count(kind, _close(expected, result)[rows])

    def result(self) -> dict[str, float]:
        """What `check_parity` returns."""
        shares = {
            name: sum(n for n, _ in counts) / max(1, sum(of for _, of in counts))
            for name, counts in self.equal.items()
        }
        return {**shares, "cache": self.cache}

    def _count(self, kind: str, same: Tensor) -> None:
        self.equal[kind].append((int(same.sum()), same.numel()))


def _close(a: Tensor, b: Tensor) -> Tensor:
    # Frames may round to the neighbouring value of 255.
    tolerance = 1.0 if a.dtype == torch.uint8 else 2e-3 if a.dtype == torch.float32 else 2e-2
    return (a.double() - b.double()).abs() <= tolerance
