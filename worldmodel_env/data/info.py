"""Figures about a data set, for people."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gymnasium import spaces

from worldmodel_env.data import schema
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset


@dataclass(frozen=True)
class SplitInfo:
    """Figures of one split (or of all): lengths in steps, returns undiscounted."""

    name: str
    episodes: int
    frames: int
    mean_length: float
    mean_return: float
    max_return: float


@dataclass(frozen=True)
class Info:
    """What `info` tells of a data set.

    Attributes:
        root: the folder.
        splits: figures of each split that has episodes.
        bytes: size on disk of the episode files.
        observation_space: of all episodes.
        action_space: of all episodes.
        actions: how often each action was taken (Discrete and MultiDiscrete: a count per value of
            each dimension; Box: a count in each of 10 equal bins between the extremes found).
        policies: episodes per policy.
        tasks: episodes per task.
        simulators: episodes per simulator and arguments.
        data_hash: hash of the recorded content.
    """

    root: Path
    splits: tuple[SplitInfo, ...]
    bytes: int
    observation_space: spaces.Box
    action_space: schema.ActionSpace
    actions: tuple[tuple[int, ...], ...]
    policies: dict[str, int]
    tasks: dict[str, int]
    simulators: dict[str, int]
    data_hash: str

    def __str__(self) -> str:
        frames = sum(split.frames for split in self.splits)
        raw = frames * int(np.prod(self.observation_space.shape))
        height, width, _ = self.observation_space.shape
        lines = [
            str(self.root),
            f"  frames       {frames:,} of {height} x {width} pixels, {self.bytes / 1e6:,.1f} MB "
            f"on disk ({raw / max(self.bytes, 1):.1f} times smaller than raw)",
            f"  simulator    {_counts(self.simulators)}",
            f"  tasks        {_counts(self.tasks)}",
            f"  policies     {_counts(self.policies)}",
            f"  actions      {self.action_space}",
        ]
        for dimension, counts in enumerate(self.actions):
            shares = np.array(counts) / max(sum(counts), 1)
            label = f"dimension {dimension}" if len(self.actions) > 1 else "share"
            lines.append(f"    {label:<11}" + " ".join(f"{share:6.1%}" for share in shares))
        lines.append("  split        episodes    frames  mean steps  mean return  best return")
        for split in self.splits:
            lines.append(
                f"    {split.name:<11}{split.episodes:8,}{split.frames:10,}"
                f"{split.mean_length:12.1f}{split.mean_return:13.3f}{split.max_return:13.3f}"
            )
        lines.append(f"  hash         {self.data_hash}")
        return "\n".join(lines)


def info(root: str | Path) -> Info:
    """Return the figures of the data set in `root`; InputError if it cannot be opened."""
    dataset = TrajectoryDataset.open(root)
    refs = dataset.episodes()
    splits = [_split_info(split, dataset.episodes(split)) for split in schema.SPLITS]
    paths = {ref.path for ref in refs}
    result = Info(
        root=dataset.root,
        splits=tuple(split for split in splits if split.episodes),
        bytes=sum(path.stat().st_size for path in paths),
        observation_space=dataset.observation_space,
        action_space=dataset.action_space,
        actions=_histogram(dataset),
        policies=dict(Counter(ref.row.policy for ref in refs)),
        tasks=dict(Counter(ref.row.task for ref in refs)),
        simulators=dict(Counter(_simulator(ref) for ref in refs)),
        data_hash=dataset.data_hash(),
    )
    dataset.close()
    return result


def _simulator(ref: EpisodeRef) -> str:
    arguments = json.loads(ref.row.env_kwargs)
    arguments.pop("split", None)
    shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"{ref.row.simulator}({shown})"


def _split_info(name: str, refs: list[EpisodeRef]) -> SplitInfo:
    steps = [ref.total_steps for ref in refs] or [0]
    returns = [ref.row.sum_rewards for ref in refs] or [0.0]
    return SplitInfo(
        name,
        len(refs),
        sum(ref.total_steps + 1 for ref in refs),
        float(np.mean(steps)),
        float(np.mean(returns)),
        max(returns),
    )


def _histogram(dataset: TrajectoryDataset) -> tuple[tuple[int, ...], ...]:
    space = dataset.action_space
    actions = np.concatenate([dataset.actions(ref) for ref in dataset.episodes()])
    dimensions = actions.reshape(len(actions), -1).T
    match space:
        case spaces.Discrete():
            edges = [np.arange(space.n + 1) + space.start]
        case spaces.MultiDiscrete():
            edges = [
                np.arange(n + 1) + first for n, first in zip(space.nvec, space.start, strict=True)
            ]
        case spaces.Box():  # its bounds may be infinite
            edges = [np.histogram_bin_edges(values, 10) for values in dimensions]
    return tuple(
        tuple(np.histogram(values, edge)[0].tolist())
        for values, edge in zip(dimensions, edges, strict=True)
    )


def _counts(counter: dict[str, int]) -> str:
    return ", ".join(f"{name or '-'} {count:,}" for name, count in sorted(counter.items()))
