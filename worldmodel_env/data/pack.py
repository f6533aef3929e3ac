"""Join single-episode files into shards: fewer files for clusters and for copying."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py

from worldmodel_env.data import schema
from worldmodel_env.data.index import EpisodeRow, FileRow, data_folder, scan
from worldmodel_env.data.metadata import write_caches
from worldmodel_env.data.writer import hdf5_file, remove_abandoned
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class PackSummary:
    """What `pack` did: the folder, episodes moved, shards written."""

    root: Path
    episodes: int
    shards: int

    def __str__(self) -> str:
        return f"packed {self.episodes} episodes into {self.shards} shards: {self.root}"


def pack(root: str | Path, episodes_per_file: int = 50) -> PackSummary:
    """Move all single episodes of a data set into shards.

    A shard appears whole before the files it replaces disappear, and readers take an episode that
    is in both once: at any moment, and after a kill, every episode is there exactly once.
    Existing shards stay as they are; run again to go on after an interruption.

    Args:
        root: the data set's folder.
        episodes_per_file: at most so many episodes in each shard, all of one split.

    Raises:
        InputError: if the folder is no data set, a file cannot be read, or the disk is full.
    """
    if episodes_per_file < 1:
        raise InputError(f"episodes_per_file is {episodes_per_file}: use 1 or more")
    root = Path(root)
    data = data_folder(root)
    index = scan(data)
    for path, reason in index.corrupt.items():
        raise InputError(f"{path} cannot be read ({reason}): delete it and record again")
    shards_folder = data / schema.SHARDS
    try:
        shards_folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {shards_folder} ({error.strerror})") from error
    remove_abandoned(shards_folder)

    single = [item for item in index.episodes() if not _is_shard(item[0])]
    shards = 0
    for _, group in itertools.groupby(single, key=lambda item: item[1].split):
        of_split = list(group)
        for start in range(0, len(of_split), episodes_per_file):
            _write_shard(data, of_split[start : start + episodes_per_file])
            shards += 1
    if index.files:
        write_caches(data, scan(data))  # Minari's links must not point at files about to go
        _delete_packed(data)
        write_caches(data, scan(data))
    return PackSummary(root, len(single), shards)


def _is_shard(file: FileRow) -> bool:
    return file.file.startswith(schema.SHARDS)


def _write_shard(data: Path, episodes: Sequence[tuple[FileRow, EpisodeRow]]) -> None:
    seeds = [row.seed for _, row in episodes]
    with hdf5_file(data / schema.shard_file(seeds[0], seeds[-1])) as shard:
        for file, row in episodes:
            with h5py.File(data / file.file, "r") as source:
                source.copy(row.key, shard)  # compressed chunks are copied as they are


def _delete_packed(data: Path) -> None:
    """Delete every single file whose very content is in a shard."""
    files = scan(data).files
    packed = {row.seed: row.sha256 for file in files if _is_shard(file) for row in file.episodes}
    for file in files:
        if not _is_shard(file) and all(packed.get(row.seed) == row.sha256 for row in file.episodes):
            (data / file.file).unlink(missing_ok=True)
