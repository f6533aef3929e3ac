"""Speed of a step on one core, by backend: `python -m benchmarks.step`.

Steps batches of worlds in every backend that runs here, in turn, so that all meet the same load,
and measures what this machine's matrix products reach at the model's own shapes. Rates are medians;
CPU time, of which the shares are taken, does not count other programs.
"""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from benchmarks.gemm import LARGE, Gemms, rate
from benchmarks.report import report
from worldmodel_env.envs.actions import action_batch
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import Backend, open_backend
from worldmodel_env.imagination.step import State
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision

BACKENDS: tuple[tuple[str, Precision], ...] = (
    ("torch", "fp32"),
    ("torch", "bf16"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)
SIMULATOR = Path("benchmarks/results/simulator.json")
SECONDS = 0.25
"""Of stepping at a time, before it is another backend's turn."""


@dataclass
class Runner:
    """One backend stepping its worlds."""

    backend: Backend
    state: State
    action: NDArray
    key: torch.Tensor
    turns: list[tuple[float, float]] = field(default_factory=list)

    def step(self) -> tuple[float, float]:
        """Step once; the seconds and CPU seconds it took."""
        began, began_cpu = time.perf_counter(), time.process_time()
        self.state, _ = self.backend.step(self.state, self.action, self.key)
        return time.perf_counter() - began, time.process_time() - began_cpu

    def turn(self) -> None:
        """Step for a while and note the mean seconds of a step."""
        steps = max(2, round(SECONDS / self.step()[0]))
        wall, cpu = np.mean([self.step() for _ in range(steps)], 0)
        self.turns.append((float(wall), float(cpu)))

    @property
    def medians(self) -> tuple[float, float]:
        """Seconds and CPU seconds of a step."""
        wall, cpu = np.median(self.turns, 0)
        return float(wall), float(cpu)


def open_all(world: World, batch: int, compiled: bool) -> dict[str, Runner]:
    """Every backend that runs here; says which does not, and why."""
    names = (*BACKENDS, ("torch-compiled", "bf16")) if compiled else BACKENDS
    runners = {}
    for name, precision in names:
        try:
            backend = open_backend(world, name, batch=batch, precision=precision)
        except InputError as error:
            print(f"{name} {precision}: {error}", file=sys.stderr)
            continue
        codes = world.starts[np.arange(batch) % len(world.starts)]
        action = action_batch(world.action_space, [world.action_space.sample()] * batch)
        runner = Runner(backend, backend.begin(codes), action, torch.arange(batch))
        runner.step()
        runners[f"{name} {precision}"] = runner
    return runners


def measure(world: World, batch: int, turns: int, compiled: bool) -> dict[str, float]:
    """Speeds of a batch, and their share of what matrix products reach."""
    gemms = Gemms(world, batch)
    runners = open_all(world, batch, compiled)
    for _ in range(turns):
        for runner in runners.values():
            runner.turn()
    worlds = f"{batch} world{'s' * (batch > 1)}"
    results = {}
    floor = {
        precision: gemms.seconds(lambda shape, p=precision: rate(shape, p))  # type: ignore[misc]
        for precision in sorted({runner.backend.precision for runner in runners.values()})
    }
    for name, runner in runners.items():
        prefix = f"{name}, {worlds}"
        wall, cpu = runner.medians
        results[f"{prefix}, frames/s"] = batch / wall
        results[f"{prefix}, ms a frame"] = 1e3 * wall / batch
        results[f"{prefix}, CPU ms a frame"] = 1e3 * cpu / batch
        results[f"{prefix}, % of the GEMM rate"] = 100 * floor[runner.backend.precision] / cpu
    results[f"GFLOP a frame, {worlds}"] = gemms.flops / batch / 1e9
    return results


def main(
    world: str = "maze",
    batches: tuple[int, ...] = (1, 16, 64),
    turns: int = 7,
    compiled: bool = False,
    out: Path = Path("benchmarks/results/step.json"),
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        batches: numbers of worlds.
        turns: of every backend, at each number of worlds.
        compiled: also torch-compiled, which takes minutes to begin.
        out: where the JSON goes.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    loaded = World.load(world)
    results: dict[str, float] = {}
    for precision in ("fp32", "bf16"):
        results[f"GEMM of {LARGE[0]}, {precision}, GFLOP/s"] = rate(LARGE, precision) / 1e9
    for batch in batches:
        results |= measure(loaded, batch, turns, compiled)
    if SIMULATOR.exists():
        simulator = json.loads(SIMULATOR.read_text())["results"]
        results["SimMaze-v0, frames/s"] = simulator["goal: stepping, observations/s"]
    report(results, out, cores=1, world=loaded)


if __name__ == "__main__":
    tyro.cli(main)
