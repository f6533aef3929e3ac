"""A very long imagined episode: do memory, speed and frames stay what they were?

The walker walks on and on, in the dream and, for comparison, through episodes of the simulator.
Frames are judged in stretches of an episode's length: how sharp they are, how many different codes
they use, how much they change from one to the next. What the simulator's episodes show, from the
lowest to the highest, is the data's range; noise and frozen pictures lie outside. How fast a step
is changes over half an hour with whatever else the machine does, so at the end the old episode and
a new one are stepped in turn.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

import simulators  # noqa: F401
from agents.walker import Walker
from worldmodel_env.models.codebook import perplexity

STRETCH = 300
TENTHS = 10
TURNS = 15
"""Of the old episode and a new one, 100 steps each."""

Encode = Callable[[NDArray[np.uint8]], NDArray[np.int64]]


def memory() -> float:
    """MiB that this process holds (Linux; elsewhere nan)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / 2**20 if statm.exists() else float("nan")


def looks(frames: NDArray[np.uint8], codes: NDArray[np.int64], n_codes: int) -> NDArray:
    """Sharpness, code usage (perplexity) and movement of a stretch (T, H, W, 3), (T, g, g)."""
    pixels = frames.astype(np.float32)
    sharpness = np.abs(np.diff(pixels, axis=2)).mean((1, 2, 3))
    movement = np.abs(np.diff(pixels, axis=0)).mean((1, 2, 3))
    usage = perplexity(torch.from_numpy(codes.reshape(-1)), n_codes)
    return np.array([np.median(sharpness), float(usage), movement.mean()])


def data_looks(episodes: int, encode: Encode, n_codes: int) -> NDArray:
    """(episodes, 3): `looks` of the walker's episodes in the simulator."""
    env = gymnasium.make("SimMaze-v0")
    found = []
    for seed in range(episodes):
        walker = Walker(seed)
        frame, _ = env.reset(seed=2_000_000 + seed)
        frames, ended = [frame], False
        while not ended and len(frames) < STRETCH:
            frame, _, terminated, truncated, _ = env.step(walker.act(frame))
            frames.append(frame)
            ended = terminated or truncated
        if len(frames) == STRETCH:  # few reach the goal sooner, and use fewer codes by that
            stack = np.stack(frames)
            codes = np.concatenate([encode(f[None]) for f in stack])
            found.append(looks(stack, codes, n_codes))
    env.close()
    return np.array(found)


def roll_out(how: dict[str, Any], steps: int, episodes: int) -> dict[str, float]:
    """Walk `steps` steps in one imagined episode.

    Args:
        how: of `gymnasium.make`.
        steps: at least 10 stretches of 300.
        episodes: of the simulator, for comparison.
    """
    env = gymnasium.make("TecoMaze-v0", max_episode_steps=-1, **how)
    bare: Any = env.unwrapped
    n_codes = bare.world.config.vqgan.n_codes
    data = data_looks(episodes, bare._episodes.backend.encode, n_codes)

    stretches = steps // STRETCH
    seen, held, cpu = np.ones((stretches, 3)), np.ones(stretches), np.ones(stretches)
    frame, _ = env.reset(seed=0)
    frames = np.ones((STRETCH, *frame.shape), np.uint8)
    codes = np.ones((STRETCH, *bare._moment.state["codes"].shape[1:]), np.int64)
    walker = Walker(0)
    for stretch in range(stretches):
        spent = 0.0
        for t in range(STRETCH):
            action = walker.act(frame)
            began = time.process_time()
            frame = env.step(action)[0]  # a terminated episode goes on when asked to
            spent += time.process_time() - began
            frames[t], codes[t] = frame, bare._moment.state["codes"][0].cpu().numpy()
        seen[stretch], cpu[stretch], held[stretch] = looks(frames, codes, n_codes), spent, memory()
    tenths = np.array_split(np.arange(stretches), TENTHS)

    def last_over_first(values: NDArray) -> float:
        first, last = (float(np.median(values[tenths[i]])) for i in (0, -1))
        return last / first

    results = {
        "roll-out: steps": float(stretches * STRETCH),
        "roll-out: memory, MiB": float(held[-1]),
        "roll-out: memory, last tenth over first": last_over_first(held),
        "roll-out: CPU ms a frame": 1e3 * float(np.median(cpu)) / STRETCH,
        "roll-out: CPU ms a frame, last tenth over first": last_over_first(cpu),
    }
    for index, name in enumerate(("sharpness", "code usage", "movement")):
        low, high = float(data[:, index].min()), float(data[:, index].max())
        medians = [float(np.median(seen[tenth, index])) for tenth in tenths]
        results[f"roll-out: {name}, data's lowest"] = low
        results[f"roll-out: {name}, data's highest"] = high
        results |= {f"roll-out: {name}, tenth {i + 1}": m for i, m in enumerate(medians)}
        inside = sum(low <= median <= high for median in medians)
        results[f"roll-out: tenths with {name} in the data's range"] = float(inside)
    results["roll-out: CPU time of a frame, over that of a new episode"] = age_costs(env, how)
    env.close()
    return results


def age_costs(old: gymnasium.Env, how: dict[str, Any]) -> float:
    """CPU time of a step of an old episode over that of a new one, median of turns side by side."""
    new = gymnasium.make("TecoMaze-v0", max_episode_steps=-1, **how)
    new.reset(seed=0)

    def seconds(env: gymnasium.Env) -> float:
        began = time.process_time()
        for step in range(100):
            env.step(step % 3)
        return time.process_time() - began

    seconds(old), seconds(new)
    ratio = float(np.median([seconds(old) / seconds(new) for _ in range(TURNS)]))
    new.close()
    return ratio
