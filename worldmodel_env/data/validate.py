"""Read a whole data set and say what is wrong with it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium import spaces

from worldmodel_env.data import schema
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.index import Index, data_folder, scan
from worldmodel_env.data.metadata import caches_fresh
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Report:
    """What `validate` found.

    Attributes:
        root: the data set's folder.
        files: number of files looked at.
        episodes: number of episodes read.
        problems: one sentence each, naming the file; none if all is well.
        notes: what is out of date but rebuilt by itself.
    """

    root: Path
    files: int
    episodes: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        state = "sound" if self.ok else f"{len(self.problems)} problems"
        lines = [f"{self.root}: {self.episodes} episodes in {self.files} files: {state}"]
        lines += [f"  problem: {problem}" for problem in self.problems]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def validate(root: str | Path) -> Report:
    """Open every file and read every episode of a data set; nothing is changed.

    Looked at: files that open, attributes, shapes and dtypes, T+1 frames for T actions, actions
    within their space, the content hash, finite rewards and poses, ends only at the end, seeds
    unique and inside their split's range, one pair of spaces, and the link file.

    Args:
        root: the data set's folder.

    Returns:
        The report; `ok` is False if anything is wrong.

    Raises:
        InputError: if the folder is no data set at all.
    """
    root = Path(root)
    data = data_folder(root)
    index = scan(data)
    problems = [
        f"{path} cannot be read ({reason}): delete it and record again"
        for path, reason in index.corrupt.items()
    ]
    if not index.files and not problems:
        problems.append(f"{root} holds no episodes: record some with `worldmodel record`")
    problems += _duplicates(index)
    if index.files:
        problems += _space_conflicts(index)
        dataset = TrajectoryDataset(root, index)
        for ref in dataset.episodes():
            problems += [f"{ref.path}, {ref.key}: {text}" for text in _check(dataset, ref)]
        dataset.close()
    problems += _outside_links(data)
    notes = []
    if index.files and not caches_fresh(data, index):
        notes.append(
            f"{data / schema.LINK_FILE} or {schema.METADATA_FILE} is out of date: opening the data "
            "set rebuilds them"
        )
    notes += [
        f"{path} was left by a writer that was killed: delete it"
        for path in sorted(data.rglob(".*.partial"))
    ]
    files = len(index.files) + len(index.corrupt)
    return Report(root, files, len(index.episodes()), tuple(problems), tuple(notes))


def _duplicates(index: Index) -> Iterator[str]:
    seen: dict[int, tuple[str, str]] = {}
    for file in index.files:
        for row in file.episodes:
            first, content = seen.setdefault(row.seed, (file.file, row.sha256))
            # The same content twice is a packing that was interrupted: readers take it once.
            if content != row.sha256:
                yield f"{file.file} and {first} both hold seed {row.seed}, with other content"


def _space_conflicts(index: Index) -> Iterator[str]:
    episodes = index.episodes()
    first_file, first = episodes[0]
    for file, row in episodes:
        if (row.height, row.width) != (first.height, first.width):
            yield (
                f"{file.file} holds {row.height} x {row.width} pixels, "
                f"{first_file.file} {first.height} x {first.width}"
            )
        if row.action_space != first.action_space:
            yield (
                f"{file.file} has the action space {row.action_space}, "
                f"{first_file.file} has {first.action_space}"
            )


def _check(dataset: TrajectoryDataset, ref: EpisodeRef) -> Iterator[str]:
    """Everything that can be wrong inside one readable episode."""
    try:
        episode = dataset.read(ref)
    except InputError as error:  # damaged, or of wrong shapes and dtypes
        yield str(error)
        return
    low = schema.SEED_BASE[ref.split]
    if not low <= ref.seed < low + schema.SEEDS_PER_SPLIT:
        yield (
            f"seed {ref.seed} is outside the range of {ref.split} "
            f"({low} to {low + schema.SEEDS_PER_SPLIT - 1})"
        )
    if ref.path.parent.name == schema.EPISODES and ref.path != (
        dataset.root / schema.DATA / schema.episode_file(ref.seed)
    ):
        yield f"seed {ref.seed} belongs into {schema.episode_file(ref.seed)}"
    if ref.key != schema.episode_key(ref.seed) or ref.id != ref.seed:
        yield f"group and id are {ref.key} and {ref.id}, expected {schema.episode_key(ref.seed)}"
    if len(episode) != ref.total_steps or len(episode) == 0:
        yield f"total_steps is {ref.total_steps}, there are {len(episode)} actions"
    if episode.sha256 != ref.row.sha256:
        yield "the content does not match its hash: the file was damaged or edited"
    yield from episode_problems(episode, schema.space_from_json(ref.row.action_space))


def episode_problems(episode: Episode, space: schema.ActionSpace) -> Iterator[str]:
    """What is wrong with a whole episode's content: poses, rewards, ends and actions."""
    if episode.pose is not None and not np.isfinite(episode.pose).all():
        yield f"the pose of frame {_first(~np.isfinite(episode.pose))} is not finite"
    if not np.isfinite(episode.rewards).all():
        yield f"the reward of step {_first(~np.isfinite(episode.rewards))} is not finite"
    ends = episode.terminations | episode.truncations
    if ends[:-1].any():
        yield f"the episode ends at step {_first(ends)} but goes on"
    if len(ends) and not ends[-1]:
        yield "the last step neither terminates nor truncates"
    yield from _check_actions(episode, space)


def _check_actions(episode: Episode, space: schema.ActionSpace) -> Iterator[str]:
    actions = episode.actions
    shape = (len(episode), *(space.shape or ()))
    dtype = np.float32 if isinstance(space, spaces.Box) else np.int64
    if actions.shape != shape or actions.dtype != dtype:
        yield f"actions are {actions.dtype} {actions.shape}, expected {np.dtype(dtype)} {shape}"
        return
    bounds: dict[type, Any] = {
        spaces.Discrete: lambda s: (s.start, s.start + s.n - 1),
        spaces.MultiDiscrete: lambda s: (s.start, s.start + s.nvec - 1),
        spaces.Box: lambda s: (s.low, s.high),
    }
    low, high = bounds[type(space)](space)
    outside = ~((actions >= low) & (actions <= high))
    if outside.any():
        step = _first(outside)
        yield f"action {actions[step]} of step {step} is not in {space}"


def _first(wrong: np.ndarray) -> int:
    return int(np.argwhere(wrong)[0, 0])


def _outside_links(data: Path) -> Iterator[str]:
    """A link that leaves the folder would make Minari read files that are not the data set's."""
    path = data / schema.LINK_FILE
    if not path.exists():
        return
    try:
        with h5py.File(path, "r") as links:
            targets = {
                link.filename
                for key in links
                if isinstance(link := links.get(key, getlink=True), h5py.ExternalLink)
            }
    except OSError as error:
        yield f"{path} cannot be read ({error}): delete it, opening the data set rebuilds it"
        return
    for target in sorted(targets):
        if os.path.isabs(target) or ".." in Path(target).parts:
            yield f"{path} links to {target}, outside the data set: delete the link file"
