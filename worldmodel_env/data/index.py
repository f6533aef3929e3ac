"""The table of a data set's episodes: found by scanning, cached in metadata.json.

The episode files are the truth. The table is checked against the files' sizes and times whenever a
data set is opened, and only files that changed are read again, so opening 2,000 episodes takes
milliseconds.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the zstd filter)
import numpy as np

from worldmodel_env.data import schema
from worldmodel_env.data.links import targets
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class EpisodeRow:
    """What the table knows of one episode.

    Attributes:
        key: the episode's group in its file.
        id: equal to the seed.
        seed: what the simulator was reset with; unique in a data set.
        split: train, validation or test.
        total_steps: number of actions T.
        sum_rewards: the undiscounted return.
        task: the simulator's task, "" if it has only one.
        policy: the explorer that acted.
        simulator: Gymnasium id.
        env_kwargs: JSON text of the arguments given to `gymnasium.make`.
        height: of the frames, in pixels.
        width: of the frames, in pixels.
        action_space: JSON text.
        sha256: hash of the episode's arrays.
    """

    key: str
    id: int
    seed: int
    split: str
    total_steps: int
    sum_rewards: float
    task: str
    policy: str
    simulator: str
    env_kwargs: str
    height: int
    width: int
    action_space: str
    sha256: str


@dataclass(frozen=True)
class FileRow:
    """One HDF5 file: its path relative to the `data` folder, its stamp, and what it holds."""

    file: str
    size: int
    mtime_ns: int
    episodes: tuple[EpisodeRow, ...]


@dataclass
class Index:
    """Every readable file of a data set, and those that cannot be read.

    Attributes:
        files: one row per file, in the order of their names.
        corrupt: path of each unreadable file, with the reason.
        changed: True if the table differs from the one cached on disk.
    """

    files: list[FileRow]
    corrupt: dict[Path, str] = field(default_factory=dict)
    changed: bool = False

    def episodes(self) -> list[tuple[FileRow, EpisodeRow]]:
        """Every episode once, by seed.

        While a data set is being packed an episode can lie in a shard and still in its own file,
        with the same content; the shard's is taken.
        """
        found: dict[int, tuple[FileRow, EpisodeRow]] = {}
        for file in self.files:
            for row in file.episodes:
                if row.seed not in found or file.file.startswith(schema.SHARDS):
                    found[row.seed] = (file, row)
        return [found[seed] for seed in sorted(found)]


def data_folder(root: Path) -> Path:
    """Return `root/data`; InputError if that is no data set of ours."""
    data = Path(root) / schema.DATA
    if (data / schema.EPISODES).is_dir() or (data / schema.SHARDS).is_dir():
        return data
    problem = "is not a data set" if Path(root).is_dir() else "does not exist"
    raise InputError(
        f"{root} {problem} (expected {root}/{schema.DATA}/{schema.EPISODES} with episodes in it): "
        "record one with `worldmodel record --out DIR`"
    )


def scan(data: Path) -> Index:
    """Return the table of the files in `data`, reading only those that the cache does not know."""
    cached = {row.file: row for row in _read_cache(data)}
    index = Index([])
    for name, stat in _files(data):
        known = cached.pop(name, None)
        if known and (known.size, known.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
            index.files.append(known)
            continue
        index.changed = True
        try:
            index.files.append(
                FileRow(name, stat.st_size, stat.st_mtime_ns, tuple(_read_rows(data / name)))
            )
        except FileNotFoundError:
            continue  # packed into a shard since it was listed
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            index.corrupt[data / name] = str(error)
    index.changed = index.changed or bool(cached)
    return index


def to_json(files: Iterable[FileRow]) -> list[dict[str, Any]]:
    """The table as it stands in metadata.json."""
    return [asdict(row) for row in files]


def _read_cache(data: Path) -> list[FileRow]:
    try:
        content = json.loads((data / schema.METADATA_FILE).read_text())["worldmodel"]
        if content["schema_version"] != schema.SCHEMA_VERSION:
            return []
        return [
            FileRow(**{**row, "episodes": tuple(EpisodeRow(**e) for e in row["episodes"])})
            for row in content["files"]
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # a cache: what is missing or damaged is rebuilt from the episodes


def _files(data: Path) -> list[tuple[str, os.stat_result]]:
    """Names (relative to `data`) and stamps of all episode files and shards, by name."""
    found = []
    for folder, belongs in (
        (schema.EPISODES, schema.is_episode_file),
        (schema.SHARDS, schema.is_shard_file),
    ):
        if (data / folder).is_dir():
            with os.scandir(data / folder) as entries:
                for entry in entries:
                    if belongs(entry.name):
                        try:
                            found.append((f"{folder}/{entry.name}", entry.stat()))
                        except FileNotFoundError:
                            continue  # packed into a shard while we look
    return sorted(found, key=lambda item: item[0])


def _read_rows(path: Path) -> list[EpisodeRow]:
    with h5py.File(path, "r") as file:
        if elsewhere := targets(file):
            raise ValueError(f"it refers to {min(elsewhere)}, another file, which is refused")
        return sorted((_read_row(file[key]) for key in file), key=lambda row: row.seed)


def _read_row(group: h5py.Group) -> EpisodeRow:
    """Read a group's row; KeyError or ValueError if it is not an episode of this format."""
    attributes = dict(group.attrs)
    key = group.name.lstrip("/")
    version = int(attributes["schema_version"])
    if version > schema.SCHEMA_VERSION:
        raise ValueError(
            f"{key} has schema version {version}, this program knows {schema.SCHEMA_VERSION}: "
            "upgrade worldmodel-env"
        )
    missing = [name for name in schema.REQUIRED_ATTRIBUTES if name not in attributes]
    if missing:
        raise ValueError(f"{key} lacks the attributes {', '.join(missing)}")
    schema.space_from_json(attributes["action_space"])
    frames = group[schema.OBSERVATIONS]
    steps = int(attributes["total_steps"])
    if frames.ndim != 4 or len(frames) != steps + 1:
        raise ValueError(f"{key} has {steps} steps but frames of shape {frames.shape}")
    return EpisodeRow(
        key=key,
        id=int(attributes["id"]),
        seed=int(attributes["seed"]),
        split=schema.check_split(attributes["split"]),
        total_steps=steps,
        sum_rewards=float(np.sum(group[schema.REWARDS][:])),
        task=str(attributes["task"]),
        policy=str(attributes["policy"]),
        simulator=str(attributes["simulator"]),
        env_kwargs=str(attributes["env_kwargs"]),
        height=frames.shape[1],
        width=frames.shape[2],
        action_space=str(attributes["action_space"]),
        sha256=str(attributes["sha256"]),
    )
