"""Speed of SimMaze-v0 on one core: `python -m benchmarks.simulator`.

Plays whole episodes of both tasks with the walker `explore`, simulator and engine kept on one core
together. Stepping counts `env.step` alone, playing counts the walker and the resets too. Prints a
table and writes JSON.
"""

import os
import time
from pathlib import Path

import gymnasium
import numpy as np
import tyro

import simulators  # noqa: F401
from benchmarks.report import report
from simulators import explorers
from simulators.maze.cache import pool_path
from simulators.maze.env import TASKS


def start_seconds() -> float:
    """From `make` to the first frame: what starting the engine costs."""
    began = time.perf_counter()
    env = gymnasium.make("SimMaze-v0")
    env.reset(seed=0)
    seconds = time.perf_counter() - began
    env.close()
    return seconds


def measure(task: str, episodes: int) -> dict[str, float]:
    """Seconds by kind of call over some episodes of one task, as rates."""
    env = gymnasium.make("SimMaze-v0", task=task)
    policy = explorers.make("explore")
    env.reset(seed=episodes)
    resets: list[float] = []
    stepping, steps, actions = 0.0, 0, np.zeros(3)
    began = time.perf_counter()
    for seed in range(episodes):
        called = time.perf_counter()
        observation, info = env.reset(seed=seed)
        resets.append(time.perf_counter() - called)
        policy.reset(env, seed)
        ended = False
        while not ended:
            action = policy.act(env, observation, info)
            called = time.perf_counter()
            observation, _, terminated, truncated, info = env.step(action)
            stepping += time.perf_counter() - called
            ended = terminated or truncated
            steps += 1
            actions[action] += 1
    played = time.perf_counter() - began
    env.close()
    return {
        "stepping, observations/s": steps / stepping,
        "playing, observations/s": (steps + episodes) / played,
        "reset, mean ms": 1e3 * float(np.mean(resets)),
        "reset, slowest ms": 1e3 * max(resets),
        "forward, share of actions": actions[2] / steps,
    }


def main(episodes: int = 60, out: Path = Path("benchmarks/results/simulator.json")) -> None:
    """Measure and report.

    Args:
        episodes: played of each task.
        out: where the JSON goes.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    pool_path(9)
    results = {"start of the engine, s": start_seconds()}
    for task in TASKS:
        for name, value in measure(task, episodes).items():
            results[f"{task}: {name}"] = value
    report(results, out, cores=1)


if __name__ == "__main__":
    tyro.cli(main)
