"""Speed of imagining on one core: `python -m benchmarks.imagination`.

Steps `TecoMaze-v0` as a user does, through `gymnasium.make`, with one thread kept on one core, and
16 worlds as one batch of the same backend. Rates are medians over windows of 50 steps, so that
another program's burst spoils a window, not the number; CPU time does not count other programs.
"""

import os
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
from worldmodel_env.envs.actions import action_batch
from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.imagination.backend import open_backend
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision

STEPS = 300
WINDOW = 50


def timed(step: Callable[[int], object], steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and CPU seconds of each of `steps` calls."""
    wall, cpu = np.zeros(steps), np.zeros(steps)
    for t in range(steps):
        began, began_cpu = time.perf_counter(), time.process_time()
        step(t)
        wall[t], cpu[t] = time.perf_counter() - began, time.process_time() - began_cpu
    return wall, cpu


def per_window(seconds: np.ndarray) -> float:
    """Median over windows of the mean seconds of a step."""
    return float(np.median(seconds.reshape(-1, WINDOW).mean(1)))


def single(world: str, precision: Precision, episodes: int) -> dict[str, float]:
    """One environment: start, speed, and whether late steps cost more than early ones."""
    began = time.perf_counter()
    env = gymnasium.make("TecoMaze-v0", world=world, precision=precision)
    env.reset(seed=0)
    first_frame = time.perf_counter() - began
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(STEPS)]
    env.step(actions[0])
    resets, wall, cpu = [], [], []
    for seed in range(episodes):
        began = time.perf_counter()
        env.reset(seed=seed)
        resets.append(time.perf_counter() - began)
        # A terminated episode goes on when asked to: a benchmark of all 300 steps.
        seconds, cpu_seconds = timed(lambda t: env.step(actions[t]), STEPS)
        wall.append(seconds)
        cpu.append(cpu_seconds)
    early = np.median([c[:WINDOW] for c in cpu])
    late = np.median([c[-WINDOW:] for c in cpu])
    return {
        "from make to the first frame, s": first_frame,
        "reset, ms": 1e3 * float(np.median(resets)),
        "one world, frames/s": 1 / per_window(np.concatenate(wall)),
        "one world, CPU ms a frame": 1e3 * per_window(np.concatenate(cpu)),
        f"one world, CPU ms a frame, steps 1-{WINDOW}": 1e3 * float(early),
        f"one world, CPU ms a frame, steps {STEPS - WINDOW + 1}-{STEPS}": 1e3 * float(late),
        "share of Gymnasium's layers in a step": gymnasium_share(env, actions[0]),
    }


def gymnasium_share(env: gymnasium.Env, action: Any, steps: int = WINDOW) -> float:
    """CPU time of a step outside the backend, as a share of the whole."""
    bare = env.unwrapped
    assert isinstance(bare, TecoEnv)
    env.reset(seed=0)
    backend, moment = bare._open().backend, bare._present()
    batch = action_batch(env.action_space, [action])
    inside, whole = np.zeros((2, steps))
    for t in range(steps):  # in turn, so that both meet the same load
        inside[t] = timed(lambda _: backend.step(moment.state, batch, moment.key), 1)[1][0]
        whole[t] = timed(lambda _: env.step(action), 1)[1][0]
    return 1 - float(np.median(inside) / np.median(whole))


def batched(world: str, precision: Precision, worlds: int) -> dict[str, float]:
    """Many worlds as one batch of the backend."""
    loaded = World.load(world)
    backend = open_backend(loaded, batch=worlds, precision=precision)
    state = backend.begin(loaded.starts[np.arange(worlds) % len(loaded.starts)])
    key = torch.arange(worlds)
    action = action_batch(loaded.action_space, [loaded.action_space.sample()] * worlds)

    def step(_: int) -> None:
        nonlocal state
        state, _imagined = backend.step(state, action, key)

    timed(step, 3)
    wall, cpu = timed(step, 2 * WINDOW)
    return {
        f"{worlds} worlds, frames/s": worlds / per_window(wall),
        f"{worlds} worlds, CPU ms a frame": 1e3 * per_window(cpu) / worlds,
    }


def main(
    world: str = "maze",
    precision: Precision = "auto",
    episodes: int = 3,
    out: Path = Path("benchmarks/results/imagination.json"),
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        precision: of the step.
        episodes: played in the one world, 300 steps each.
        out: where the JSON goes.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    report(single(world, precision, episodes) | batched(world, precision, 16), out, cores=1)


if __name__ == "__main__":
    tyro.cli(main)
