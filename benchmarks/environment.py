"""`TecoMaze-v0` as its users meet it: `python -m benchmarks.environment`.

How soon the first frame comes, with all cores; then on one core: one environment and 16 in one
batch, in turn, so that another program's burst meets them all; what Gymnasium's layer costs; and a
roll-out of 100,000 steps, whose memory, speed and frames are to stay as they were. Prints a table
and writes JSON. Takes twenty minutes, nearly all of it the roll-out (`--steps`).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro

import worldmodel_env  # noqa: F401
from benchmarks.report import report
from benchmarks.roll_out import roll_out
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision

ROWS = 16
PRECISIONS: tuple[Precision, ...] = ("bf16", "fp32")

TARGETS: dict[str, tuple[float, float]] = {
    "one, auto, frames/s": (60, np.inf),
    "16 over one, bf16": (1.5, np.inf),
    "16 over one, fp32": (1.1, np.inf),
    "Gymnasium's share of a step, one": (0, 0.05),
    f"Gymnasium's share of a step, {ROWS}": (0, 0.05),
    "first frame, torch imported, s": (0, 1.5),
    "first frame, cold, s": (0, 6),
    "reset, ms": (0, 100),
    "roll-out: memory, last tenth over first": (0.98, 1.02),
    "roll-out: CPU time of a frame, over that of a new episode": (0.95, 1.05),
    "roll-out: tenths with sharpness in the data's range": (10, 10),
    "roll-out: tenths with code usage in the data's range": (10, 10),
    "roll-out: tenths with movement in the data's range": (10, 10),
}
"""Least and most of what was promised."""


class Timed:
    """A backend that adds up the CPU seconds of its calls."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.seconds = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found):
            return found

        def call(*args: Any) -> Any:
            began = time.process_time()
            result = found(*args)
            self.seconds += time.process_time() - began
            return result

        return call


class Walk:
    """One environment or a batch of them that acts at random, with its clocks."""

    def __init__(self, rows: int, **how: Any) -> None:
        make = {"num_envs": rows} if rows > 1 else {}
        self.rows = rows
        self.env = (gymnasium.make_vec if rows > 1 else gymnasium.make)(
            "TecoMaze-v0", **make, **how
        )
        self.env.reset(seed=0)
        self.env.action_space.seed(0)
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.run(3, count=False)

    def run(self, steps: int, *, count: bool = True) -> None:
        """Step, and note the mean seconds of a step."""
        # Terminated episodes go on when asked to, batches begin them anew.
        actions = [self.env.action_space.sample() for _ in range(steps)]
        wall, cpu = time.perf_counter(), time.process_time()
        for action in actions:
            self.env.step(action)
        if count:
            self.wall.append((time.perf_counter() - wall) / steps)
            self.cpu.append((time.process_time() - cpu) / steps)

    def share_outside_backend(self, steps: int) -> float:
        """Share of a step's CPU time that is not the backend's."""
        episodes = self.env.unwrapped._episodes  # type: ignore[attr-defined]
        episodes.backend = backend = Timed(episodes.backend)
        began = time.process_time()
        self.run(steps, count=False)
        return 1 - backend.seconds / (time.process_time() - began)


def speeds(how: dict[str, Any], rounds: int) -> dict[str, float]:
    """Frames a second of one environment and of a batch, in either precision, in turn."""
    kinds = {"auto": {}, **{p: {"precision": p} for p in PRECISIONS}}
    walks = {
        (name, rows): Walk(rows, **how, **kind)
        for name, kind in kinds.items()
        for rows in (1, ROWS)
    }
    for _ in range(rounds):
        for walk in walks.values():
            walk.run(32 if walk.rows == 1 else 8)
    results = {}
    for (name, rows), walk in walks.items():
        who = "one" if rows == 1 else str(rows)
        results[f"{who}, {name}, frames/s"] = rows / float(np.median(walk.wall))
        results[f"{who}, {name}, CPU ms a frame"] = 1e3 * float(np.median(walk.cpu)) / rows
    for name in kinds:
        one, many = (walks[name, rows].cpu for rows in (1, ROWS))
        # Of rounds side by side, in CPU time, which other programs do not count into.
        results[f"{ROWS} over one, {name}"] = ROWS * float(np.median(np.divide(one, many)))
    for rows in (1, ROWS):
        who = "one" if rows == 1 else str(rows)
        share = walks["auto", rows].share_outside_backend(200 // rows + 20)
        results[f"Gymnasium's share of a step, {who}"] = share
    return results


def resets(how: dict[str, Any], count: int = 30) -> dict[str, float]:
    """Milliseconds of beginning anew."""

    def milliseconds(reset: Callable[[int], object]) -> float:
        seconds = []
        for seed in range(count):
            began = time.perf_counter()
            reset(seed)
            seconds.append(time.perf_counter() - began)
        return 1e3 * float(np.median(seconds))

    one = gymnasium.make("TecoMaze-v0", **how)
    many = gymnasium.make_vec("TecoMaze-v0", num_envs=ROWS, **how)
    return {
        "reset, ms": milliseconds(lambda seed: one.reset(seed=seed)),
        f"reset of {ROWS}, ms": milliseconds(lambda seed: many.reset(seed=seed)),
    }


FIRST_FRAME = """
import sys, time
if {torch}:
    import torch
began = time.perf_counter()
import gymnasium, worldmodel_env
env = gymnasium.make("TecoMaze-v0", **{how})
env.reset(seed=0)
print(time.perf_counter() - began)
"""


def first_frames(how: dict[str, Any]) -> dict[str, float]:
    """Seconds to the first frame, each in a process of its own."""

    def seconds(torch_imported: bool, cache: str | None = None) -> tuple[float, float]:
        script = FIRST_FRAME.format(torch=torch_imported, how=how)
        environment = {**os.environ, **({"XDG_CACHE_HOME": cache} if cache else {})}
        began = time.perf_counter()
        command = [sys.executable, "-c", script]
        out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return float(out.stdout), time.perf_counter() - began

    seconds(True)  # fills the caches
    with tempfile.TemporaryDirectory() as empty:
        without_caches = seconds(False, empty)[1]
    return {
        "first frame, torch imported, s": float(np.median([seconds(True)[0] for _ in range(3)])),
        "first frame, cold, s": float(np.median([seconds(False)[1] for _ in range(3)])),
        "first frame, cold, caches empty, s": without_caches,
    }


def main(
    world: str = "maze",
    backend: str = "auto",
    rounds: int = 20,
    steps: int = 100_000,
    episodes: int = 30,
    out: Path = Path("benchmarks/results/environment.json"),
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        backend: what runs the step.
        rounds: of the speeds, each 32 steps of one environment and 8 of 16.
        steps: of the roll-out; 0 keeps what `out` holds of an earlier one.
        episodes: walked in the simulator, to know what frames look like.
        out: where the JSON goes.
    """
    how = {"world": world, "backend": backend}
    results = first_frames(how)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    results |= resets(how) | speeds(how, rounds)
    if steps:
        results |= roll_out(how, steps, episodes)
    elif out.exists():
        before = json.loads(out.read_text())["results"]
        results |= {name: found for name, found in before.items() if name.startswith("roll-out")}
    report(results, out, cores=1, world=World.load(world))
    for name, (least, most) in TARGETS.items():
        if name in results and not least <= results[name] <= most:
            print(f"missed: {name} is {results[name]:.3f}, promised {least} to {most}")


if __name__ == "__main__":
    tyro.cli(main)
