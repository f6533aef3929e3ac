"""From the same moments: what a policy reaches in the simulator, and what in the world.

A world may foretell the next frame and still not let a good agent win: what it walks towards
dissolves before it is there; or it may let anyone win, showing goals where none are. So recorded
episodes are cut at moments drawn alike. Their actions bring the simulator there, their frames the
world, and the same policy goes on in both.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.envs import Envs
from agents.evaluate import Scores
from agents.policy import Actors, Batch
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError


def from_moments(
    policy: Callable[[int], Batch],
    data: TrajectoryDataset,
    imagined: str,
    imagined_kwargs: Mapping[str, Any],
    *,
    moments: int = 256,
    context: int = 8,
    horizon: int = 96,
    split: str = "train",
    num_envs: int = 16,
    seed: int = 0,
) -> tuple[Scores, Scores]:
    """What the policy reaches in the simulator, and in the world.

    Args:
        policy: makes who acts in N rows; a trained agent remembers the frames of the context.
        data: episodes that a simulator of the project made, and makes again of the same seed.
        imagined: id of the imagined environment.
        imagined_kwargs: of it.
        moments: M, how many.
        context: C, recorded frames that the world is shown, the last one being the moment's.
        horizon: steps from there, at most.
        split: of the episodes.
        num_envs: episodes imagined at a time.
        seed: of the moments, the policy's draws and the world's.

    Returns:
        Scores of M episodes each; their steps count from the moment on.

    Raises:
        InputError: no episode is long enough, or the simulator does not make a recorded frame
            again.
    """
    refs = [ref for ref in data.episodes(split) if ref.total_steps >= context]
    if not refs or min(moments, context, horizon) < 1:
        raise InputError(
            f"{moments} moments, context {context}, horizon {horizon} on {len(refs)} {split} "
            f"episodes that are long enough, of {data.root}; give 1 or more of each."
        )
    random = np.random.default_rng(seed)
    # An episode's share is its length, so that all moments are alike.
    lengths = np.array([ref.total_steps for ref in refs], float)
    chosen = [refs[i] for i in random.choice(len(refs), moments, p=lengths / lengths.sum())]
    at = [int(random.integers(context - 1, ref.total_steps)) for ref in chosen]
    shown = [data.read(ref, t + 1 - context, t + 1) for ref, t in zip(chosen, at, strict=True)]
    frames = np.stack([clip.observations[:context] for clip in shown])
    actions = np.stack([clip.actions[: context - 1] for clip in shown])

    began, dreamt = time.monotonic(), []
    world = Envs(imagined, min(num_envs, moments), imagined_kwargs)
    for first in range(0, moments, world.num_envs):
        # Short of moments at the end, the last one is imagined again and not counted.
        wave = np.minimum(first + np.arange(world.num_envs), moments - 1)
        given = {"context": (frames[wave], actions[wave])}
        seeds: Any = [seed + int(i) for i in wave]
        obs, _ = world.env.reset(seed=seeds, options=given)
        dreamt.append(_go_on(world, obs, policy, frames[wave], actions[wave], wave, horizon))
    world.close()
    middle, real = time.monotonic(), []
    simulators: dict[tuple[str, str], Envs] = {}
    for i, (ref, t) in enumerate(zip(chosen, at, strict=True)):
        name, kwargs = ref.row.simulator, ref.row.env_kwargs
        if (name, kwargs) not in simulators:
            simulators[name, kwargs] = Envs(name, 1, json.loads(kwargs))
        envs = simulators[name, kwargs]
        obs = envs.reset([ref.seed])
        for action in data.read(ref, 0, t + 1).actions:
            obs = envs.step(np.array([action])).obs
        if not np.array_equal(obs[0].cpu().numpy(), frames[i, -1]):
            raise InputError(
                f"{name} shows another frame at step {t} of seed {ref.seed} than "
                f"{ref.path} holds; record the data set with this version."
            )
        row = np.array([i])
        real.append(_go_on(envs, obs, policy, frames[row], actions[row], row, horizon))
    for envs in simulators.values():
        envs.close()
    seconds = middle - began, time.monotonic() - middle
    episodes, both = np.array([ref.seed for ref in chosen], np.int64), []
    for found, spent in zip((real, dreamt), seconds, strict=True):
        returns, success, steps = (np.concatenate(x)[:moments] for x in zip(*found, strict=True))
        both.append(Scores(episodes, success, returns, steps, spent))
    return both[0], both[1]


def _go_on(
    envs: Envs,
    obs: Tensor,
    policy: Callable[[int], Batch],
    frames: NDArray[np.uint8],
    actions: NDArray,
    seeds: NDArray[np.int64],
    horizon: int,
) -> tuple[NDArray, NDArray, NDArray]:
    """Returns, success and steps of each row's episode, cut after `horizon` steps."""
    rows = envs.num_envs
    actors = policy(rows)
    for row in range(rows):
        actors.begin(row, envs.row(row), int(seeds[row]))
    if isinstance(actors, Actors):
        actors.follow(torch.from_numpy(frames[:, :-1]), actions)
    returns, steps = np.zeros(rows), np.zeros(rows, np.int64)
    success, going = np.zeros(rows, np.bool_), np.ones(rows, np.bool_)
    for _ in range(horizon):
        got = envs.step(actors.act(obs))
        obs = got.obs
        terminated = got.terminated.cpu().numpy()
        returns += going * got.reward.cpu().numpy()
        steps += going
        success |= going & terminated & (returns > 0)
        going &= ~(terminated | got.truncated.cpu().numpy())
        if not going.any():
            break
    return returns, success, steps
