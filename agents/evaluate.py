"""What a policy achieves: one episode per seed, many at a time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import Tensor

from agents.envs import Envs, Mode
from agents.policy import Batch
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.video import write_video


@dataclass(frozen=True)
class Scores:
    """What E episodes came to.

    Attributes:
        seeds: (E,) int64.
        success: (E,) bool, the episode terminated with a return above zero.
        returns: (E,) float64, undiscounted.
        steps: (E,) int64.
        seconds: it took, all together.
    """

    seeds: NDArray[np.int64]
    success: NDArray[np.bool_]
    returns: NDArray[np.float64]
    steps: NDArray[np.int64]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, per episode."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scores":
        """What `to_json` gave."""
        kinds = {"seeds": np.int64, "success": np.bool_, "returns": np.float64, "steps": np.int64}
        arrays: dict[str, Any] = {name: np.array(data[name], kind) for name, kind in kinds.items()}
        return cls(**arrays, seconds=data["seconds"])


def evaluate(
    name: str,
    policy: Callable[[int], Batch],
    seeds: Sequence[int],
    *,
    kwargs: Mapping[str, Any],
    num_envs: int = 16,
    mode: Mode = "sync",
    device: str = "auto",
    films: Mapping[int, Path] | None = None,
) -> Scores:
    """Play the episode of each seed once.

    Args:
        name: the environment's id.
        policy: makes who acts in N rows.
        seeds: of the episodes; simulators make the same episode of the same seed again.
        kwargs: of the environment.
        num_envs: episodes at a time.
        mode: as of `Envs`.
        device: likewise.
        films: index of an episode -> mp4 to write.

    Raises:
        InputError: no seeds, or as `Envs`.
    """
    if not seeds:
        raise InputError("no episodes were asked for; give 1 or more.")
    began = time.monotonic()
    films = films or {}
    for path in films.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    rows = min(num_envs, len(seeds))
    envs = Envs(name, rows, kwargs, mode=mode, device=device, autoreset=AutoresetMode.DISABLED)
    actors = policy(rows)
    waiting = list(range(len(seeds)))[::-1]
    playing = [waiting.pop() for _ in range(rows)]  # an index of `seeds` per row; -1: spare
    returns, steps = np.zeros(len(seeds)), np.zeros(len(seeds), np.int64)
    success = np.zeros(len(seeds), np.bool_)
    shots: dict[int, list[Tensor]] = {index: [] for index in films}
    obs = envs.reset([int(seeds[i]) for i in playing])
    for row, index in enumerate(playing):
        actors.begin(row, envs.row(row), int(seeds[index]))
    while True:
        for row, index in enumerate(playing):
            if index in shots:
                shots[index].append(obs[row].cpu())
        got = envs.step(actors.act(obs))
        obs = got.final_obs
        reward, terminated = got.reward.cpu().numpy(), got.terminated.cpu().numpy()
        ended = terminated | got.truncated.cpu().numpy()
        for row, index in enumerate(playing):
            if index >= 0:
                returns[index] += reward[row]
                steps[index] += 1
                if ended[row]:
                    success[index] = terminated[row] and returns[index] > 0
                    if index in shots:
                        frames = [*shots.pop(index), obs[row].cpu()]
                        write_video(films[index], torch.stack(frames).numpy())
        if not ended.any():
            continue
        fresh: list[int | None] = [None] * rows
        for row in map(int, np.flatnonzero(ended)):
            playing[row] = waiting.pop() if waiting else -1
            fresh[row] = int(seeds[max(playing[row], 0)])
        if max(playing) < 0:
            break
        obs = torch.where(
            torch.as_tensor(ended, device=obs.device).view(-1, 1, 1, 1),
            envs.reset(fresh, ended), obs,
        )  # fmt: skip
        for row in map(int, np.flatnonzero(ended)):
            seed = fresh[row]
            assert seed is not None
            actors.begin(row, envs.row(row), seed)
    envs.close()
    seconds = time.monotonic() - began
    return Scores(np.array(seeds, np.int64), success, returns, steps, seconds)
