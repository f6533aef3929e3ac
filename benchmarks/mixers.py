"""What remembering costs: `python -m benchmarks.mixers`.

One frame of a temporal transformer of the shipped sizes (256 wide, 8 heads, 3 layers, 4 tokens a
frame) in CPU seconds with one thread, after 300, 3,000 and 30,000 frames, and the bytes of a state
then. All mixers have the same number of parameters: what a memory needs is taken from the
feed-forward layers. `full` attention keeps every frame; `window` the last 48, and so do the
memories beside it; `recurrent` is Gated DeltaNet without a window. Then a training step on clips of
64 frames. States are set as after so many frames, from 64 real ones: what a frame costs depends on
shapes only.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor

from benchmarks.report import report
from benchmarks.teco import cpu_seconds
from worldmodel_env.models.temporal import State, TemporalConfig, TemporalTransformer

SIZE = TemporalConfig(256, 1024, 8, 3, "window", window=48)
TOKENS = 4
ELAPSED = (300, 3_000, 30_000)
CLIP, BATCH = 64, 8
MIXERS: dict[str, dict[str, Any]] = {
    "full": {},
    "window": {},
    "window + sink": {"sink": 2},
    "gated_delta": {"memory": "gated_delta"},
    "mamba2": {"memory": "mamba2"},
    "ttt_linear": {"memory": "ttt_linear"},
    "ttt_mlp": {"memory": "ttt_mlp"},
    "recurrent": {"memory": "gated_delta", "window": 1},
}


def parameters(config: TemporalConfig, tokens: int = TOKENS) -> int:
    """How many numbers such a transformer learns."""
    model = TemporalTransformer(config, tokens)
    return sum(parameter.numel() for parameter in model.parameters())


def equalised(
    config: TemporalConfig, size: TemporalConfig = SIZE, tokens: int = TOKENS
) -> TemporalConfig:
    """The configuration with feed-forward layers as wide as the parameters of `size` allow."""
    surplus = parameters(config, tokens) - parameters(size, tokens)
    per_unit = config.layers * (2 * config.dim + 1)
    return replace(config, mlp_dim=config.mlp_dim - round(surplus / per_unit))


def build(name: str, elapsed: int) -> TemporalTransformer:
    """A mixer with random weights."""
    torch.manual_seed(0)
    fields = dict(MIXERS[name])
    if name == "full":
        fields["window"] = elapsed
    return TemporalTransformer(equalised(replace(SIZE, **fields)), TOKENS)


@torch.no_grad()
def state_after(model: TemporalTransformer, elapsed: int) -> State:
    """The state after `elapsed` frames."""
    frames = torch.randn(1, CLIP, TOKENS, SIZE.dim)
    state = model.begin(1, frames)
    for frame in frames.unbind(1):
        _, state = model.step(frame, state)
        if model.cfg.window > CLIP:
            break  # a large cache is slow to fill, and any numbers do
    state["index"] = torch.tensor([elapsed])
    return state


def one_frame(model: TemporalTransformer, state: State) -> Callable[[], object]:
    """A frame imagined."""
    frame = torch.randn(1, TOKENS, SIZE.dim)

    @torch.no_grad()
    def step() -> Tensor:
        return model.step(frame, state)[0]

    return step


def training_step(model: TemporalTransformer) -> None:
    """Forwards and backwards through a batch of clips."""
    model(torch.randn(BATCH, CLIP, TOKENS, SIZE.dim)).square().mean().backward()


def size(state: State) -> int:
    """Bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def measure(repeats: int, longest: int) -> dict[str, float]:
    """All numbers by name."""
    results: dict[str, float] = {}
    for name in MIXERS:
        calls = {}
        for elapsed in (n for n in ELAPSED if n <= longest):
            model = build(name, elapsed)
            state = state_after(model, elapsed)
            calls[str(elapsed)] = one_frame(model, state)
            results[f"{name}: frame {elapsed}, state MB"] = size(state) / 1e6
        # In turn, so that whatever else runs meets all lengths alike.
        for after, seconds in cpu_seconds(calls, 3 if name == "full" else repeats).items():
            results[f"{name}: frame {after}, CPU ms"] = 1e3 * seconds
    for name in MIXERS:
        model = build(name, CLIP)
        results[f"{name}: parameters, M"] = parameters(model.cfg) / 1e6
        calls = {name: partial(training_step, model)}
        results[f"{name}: training step, CPU s"] = cpu_seconds(calls, max(3, repeats // 20))[name]
    return results


def main(
    repeats: int = 100,
    longest: int = max(ELAPSED),
    out: Path = Path("benchmarks/results/mixers.json"),
) -> None:
    """Measure and report.

    Args:
        repeats: frames of which the median is taken.
        longest: leave out what has more frames; full attention needs 6 GB for 30,000.
        out: the JSON file.
    """
    torch.set_num_threads(1)
    report(measure(repeats, longest), out, cores=os.cpu_count() or 1)


if __name__ == "__main__":
    tyro.cli(main)
