"""Record a policy's own episodes into a data set, so that a world learns what the policy meets."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from agents.baselines import RowPolicy
from agents.envs import ENDLESS, find_spec
from worldmodel_env.data import schema
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.index import data_folder
from worldmodel_env.data.writer import write_episode
from worldmodel_env.errors import InputError


def collect(
    policy: RowPolicy,
    name: str,
    simulator: str,
    data: Path,
    *,
    episodes: int,
    first: int,
    kwargs: Mapping[str, Any],
) -> int:
    """Play the episodes of seeds first, first + 1, ... and add them; what is there is kept.

    Args:
        policy: who acts.
        name: what to call it in the episodes' attributes.
        simulator: Gymnasium id.
        data: the data set's folder, which exists.
        episodes: how many.
        first: seed of the first one; it says which split they belong to.
        kwargs: of the simulator.

    Returns:
        Frames of these episodes, recorded now or before.

    Raises:
        InputError: an episode does not end, or the data set cannot be written.
    """
    wanted = range(first, first + episodes)
    paths = {seed: data_folder(data) / schema.episode_file(seed) for seed in wanted}
    missing = [seed for seed, path in paths.items() if not path.exists()]
    if missing:
        env = gymnasium.make(find_spec(simulator), disable_env_checker=True, **kwargs)
        about = {
            "policy": name, "simulator": simulator, "frame_skip": 1,
            "env_kwargs": json.dumps(dict(kwargs), sort_keys=True),
            "task": str(kwargs.get("task", "")), "versions": {},
            "action_space": schema.space_to_json(env.action_space),
        }  # fmt: skip
        for seed in missing:
            write_episode(paths[seed], _play(policy, env, seed, about))
        env.close()
    dataset = TrajectoryDataset.open(data)
    return sum(ref.total_steps + 1 for ref in dataset.episodes() if ref.seed in wanted)


def _play(policy: RowPolicy, env: gymnasium.Env, seed: int, about: Mapping[str, Any]) -> Episode:
    obs, info = env.reset(seed=seed)
    policy.reset(env, seed)
    frames, poses = [np.array(obs)], [info.get("pose")]
    start = {k: info[k] for k in ("layout", "goal") if info.get(k) is not None}
    actions: list[Any] = []
    outcomes: list[tuple[Any, Any, Any]] = []
    ended = False
    while not ended:
        if len(actions) >= ENDLESS:
            raise InputError(
                f"{about['simulator']} has not ended an episode in {ENDLESS} steps; give it a time "
                "limit, such as max_episode_steps=300."
            )
        action = policy.act(env, obs, info)
        obs, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        actions.append(action)
        outcomes.append((reward, terminated, truncated))
        frames.append(np.array(obs))
        poses.append(info.get("pose"))
    rewards, terminations, truncations = zip(*outcomes, strict=True)
    box = isinstance(env.action_space, spaces.Box)
    return Episode(
        observations=np.stack(frames),
        actions=np.array(actions, np.float32 if box else np.int64),
        rewards=np.array(rewards, np.float32),
        terminations=np.array(terminations, np.bool_),
        truncations=np.array(truncations, np.bool_),
        pose=None if any(p is None for p in poses) else np.array(poses, np.float32),
        attributes={**about, **start, "seed": seed, "split": schema.split_of(seed)},
    )
