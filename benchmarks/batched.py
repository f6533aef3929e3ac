"""Speed of many worlds in one batch on one device: `python -m benchmarks.batched`.

On a GPU the compiled step, replayed as a CUDA graph, in bfloat16; on a CPU, for comparison, what
`auto` stands for. Times are of a step until its frames are there.
"""

import time
from pathlib import Path

import numpy as np
import torch
import tyro

from benchmarks.report import report
from worldmodel_env.envs.actions import action_batch
from worldmodel_env.imagination.backend import Backend, open_backend
from worldmodel_env.imagination.step import State
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision, resolve_device

ON_GPU = (1, 4, 16, 64, 256, 1024, 4096)
ON_CPU = (1, 4, 16)


def measure(world: World, backend: Backend, worlds: int, steps: int) -> dict[str, float]:
    """Latency, rate and memory of a batch; the median of `steps` steps."""
    device = backend.device
    state = backend.begin(world.starts[np.arange(worlds) % len(world.starts)])
    key = torch.arange(worlds, device=device)
    action = action_batch(world.action_space, [world.action_space.sample()] * worlds)
    for _ in range(3):
        state, _ = backend.step(state, action, key)
    seconds = []
    for _ in range(steps):
        began = time.perf_counter()
        state, _ = backend.step(state, action, key)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    median = float(np.median(seconds))
    results = {
        "ms a step": 1e3 * median,
        "frames/s": worlds / median,
        "state, MB a world": _bytes(state) / worlds / 1e6,
    }
    if device.type == "cuda":
        used = torch.cuda.max_memory_reserved(device)
        results["all memory, MB a world"] = used / worlds / 1e6
    return results


def main(
    world: str = "maze",
    worlds: tuple[int, ...] | None = None,
    backend: str | None = None,
    precision: Precision = "bf16",
    device: str = "auto",
    steps: int = 50,
    out: Path = Path("benchmarks/results/batched.json"),
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        worlds: numbers of worlds; up to 4,096 on a GPU and 16 on a CPU if not given.
        backend: torch-compiled on a GPU and auto on a CPU if not given.
        precision: of the step.
        device: "auto", "cpu", "cuda", ...
        steps: of each measurement.
        out: where the JSON goes.
    """
    on = resolve_device(device)
    gpu = on.type == "cuda"
    loaded = World.load(world)
    results: dict[str, float] = {}
    for count in worlds or (ON_GPU if gpu else ON_CPU):
        if gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(on)
        try:
            opened = open_backend(
                loaded,
                backend or ("torch-compiled" if gpu else "auto"),
                batch=count,
                device=device,
                precision=precision,
            )
            found = measure(loaded, opened, count, steps)
        except torch.cuda.OutOfMemoryError:
            print(f"{count} worlds do not fit into this GPU's memory")
            break
        batch = f"{count} world{'s' * (count > 1)}"
        results |= {f"{batch}, {name}": value for name, value in found.items()}
    name = torch.cuda.get_device_name(on) if gpu else None
    report(results, out, cores=1, device=name, world=loaded)


def _bytes(state: State) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in state.values())


if __name__ == "__main__":
    tyro.cli(main)
