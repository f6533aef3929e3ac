"""Open a recorded data set and read slices of its episodes."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.index import EpisodeRow, Index, data_folder, scan
from worldmodel_env.data.metadata import caches_fresh, write_caches
from worldmodel_env.data.reader import Columns, EpisodeReader
from worldmodel_env.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class EpisodeRef:
    """Where one episode lies, and what is known of it without opening its file.

    Attributes:
        path: the HDF5 file.
        key: the group in it.
        id: equal to the seed.
        seed: what the simulator was reset with.
        split: train, validation or test.
        total_steps: number of actions T; the episode has T+1 frames.
        row: the other columns of the table: policy, task, return, ...
    """

    path: Path
    key: str
    id: int
    seed: int
    split: str
    total_steps: int
    row: EpisodeRow


class TrajectoryDataset:
    """A folder of recorded episodes, opened for reading.

    May be shared between threads, pickled, and used on both sides of a fork.

    Attributes:
        root: the data set's folder.
        observation_space: Box(0, 255, (H, W, 3), uint8).
        action_space: Discrete, MultiDiscrete or Box.
        metadata: `schema_version`, `total_episodes`, `total_steps` and `simulators`.
        skipped: unreadable files left out, with the reason; empty unless `skip_corrupt`.
    """

    def __init__(self, root: Path, index: Index) -> None:
        """Use `open`, which also checks the files."""
        self.root = root
        self.skipped = dict(index.corrupt)
        self._refs = _references(root, index)
        first = self._refs[0].row
        self.observation_space = schema.image_space(first.height, first.width)
        self.action_space = schema.space_from_json(first.action_space)
        self.metadata: dict[str, Any] = {
            "schema_version": schema.SCHEMA_VERSION,
            "total_episodes": len(self._refs),
            "total_steps": sum(ref.total_steps for ref in self._refs),
            "simulators": sorted({ref.row.simulator for ref in self._refs}),
        }
        self._reader = EpisodeReader()
        self._moved: dict[int, EpisodeRef] = {}

    @classmethod
    def open(cls, root: str | Path, skip_corrupt: bool = False) -> "TrajectoryDataset":
        """Open the data set in the folder `root`, refreshing its caches if they are stale.

        Args:
            root: the folder given to the recorder.
            skip_corrupt: leave out files that cannot be read, instead of refusing.

        Raises:
            InputError: if there is no data set, no episode, an unreadable file, or episodes of
                different spaces; the message names the file.
        """
        root = Path(root)
        data = data_folder(root)
        index = scan(data)
        if index.corrupt and not skip_corrupt:
            path, reason = next(iter(index.corrupt.items()))
            raise InputError(
                f"{path} cannot be read ({reason}): delete it and record again, or skip such files "
                "on request (skip_corrupt)"
            )
        if not index.files:
            raise InputError(f"{root} holds no episodes: record some with `worldmodel record`")
        _check_spaces(data, index)
        # A data set on a read-only medium is served from the scan alone.
        if os.access(data, os.W_OK) and not caches_fresh(data, index):
            write_caches(data, index)
        return cls(root, index)

    def episodes(self, split: str | None = None) -> list[EpisodeRef]:
        """Return the episodes of `split` (or of all), by seed; InputError for an unknown split."""
        if split is None:
            return list(self._refs)
        schema.check_split(split)
        return [ref for ref in self._refs if ref.split == split]

    def read(self, ref: EpisodeRef, start: int = 0, stop: int | None = None) -> Episode:
        """Read frames `start` .. `stop` and the actions between them.

        Args:
            ref: one of `episodes()`.
            start: first frame, 0 <= start.
            stop: one past the last frame, start < stop <= T+1; T+1 if None.

        Returns:
            An Episode of stop-start frames and stop-start-1 actions, with the attributes of the
            whole one.

        Raises:
            InputError: if the range is outside the episode or the file is damaged.
        """
        stop = ref.total_steps + 1 if stop is None else stop
        observations = self.frames(ref, start, stop)
        columns = self._columns(ref)
        last = stop - 1
        pose = columns.get(schema.POSE)
        return Episode(
            observations=observations,
            actions=columns[schema.ACTIONS][start:last],
            rewards=columns[schema.REWARDS][start:last],
            terminations=columns[schema.TERMINATIONS][start:last],
            truncations=columns[schema.TRUNCATIONS][start:last],
            pose=None if pose is None else pose[start:stop],
            attributes=_Attributes(lambda: self._read(ref, self._attributes)),
        )

    def frames(self, ref: EpisodeRef, start: int, stop: int) -> NDArray[np.uint8]:
        """Read only the frames `start` .. `stop`, (stop-start, H, W, 3); raises as `read` does."""
        if not 0 <= start < stop <= ref.total_steps + 1:
            raise InputError(
                f"frames {start} to {stop} are not in episode {ref.id}: "
                f"use 0 to {ref.total_steps + 1}"
            )
        return self._read(ref, lambda r: self._reader.frames(r.path, r.key, start, stop))

    def actions(self, ref: EpisodeRef) -> NDArray[Any]:
        """Return all actions of an episode, (T,) or (T, k), without reading its frames."""
        return self._columns(ref)[schema.ACTIONS]

    def data_hash(self, split: str | None = None) -> str:
        """Hash of the recorded content, the same however the episodes are grouped into files."""
        rows = [[ref.seed, ref.row.sha256] for ref in self.episodes(split)]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def close(self) -> None:
        """Close the open files; reading opens them again."""
        self._reader.close()

    def _attributes(self, ref: EpisodeRef) -> dict[str, Any]:
        return self._reader.attributes(ref.path, ref.key)

    def _columns(self, ref: EpisodeRef) -> Columns:
        return self._read(ref, lambda r: self._reader.columns(r.path, r.key))

    def _read(self, ref: EpisodeRef, read: Callable[[EpisodeRef], T]) -> T:
        try:
            try:
                return read(self._moved.get(ref.id, ref))
            except FileNotFoundError:
                # Packed into a shard since this data set was opened.
                index = scan(data_folder(self.root))
                self._moved = {new.id: new for new in _references(self.root, index)}
                return read(self._moved.get(ref.id, ref))
        except (OSError, KeyError, RuntimeError) as error:
            raise InputError(
                f"{ref.path} cannot be read ({error}): run `worldmodel data validate {self.root}`, "
                "delete what is damaged and record again"
            ) from error


class _Attributes(Mapping[str, Any]):
    """An episode's attributes, read when first asked for: they cost as much as its actions."""

    def __init__(self, read: Callable[[], dict[str, Any]]) -> None:
        self._read = read

    @cached_property
    def _content(self) -> dict[str, Any]:
        return self._read()

    def __getitem__(self, name: str) -> Any:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)

    def __reduce__(self) -> tuple[type[dict], tuple[dict[str, Any]]]:
        return dict, (self._content,)


def _references(root: Path, index: Index) -> list[EpisodeRef]:
    data = root / schema.DATA
    return [
        EpisodeRef(data / file.file, row.key, row.id, row.seed, row.split, row.total_steps, row)
        for file, row in index.episodes()
    ]


def _check_spaces(data: Path, index: Index) -> None:
    episodes = index.episodes()
    first_file, first = episodes[0]
    for file, row in episodes:
        if (row.height, row.width) != (first.height, first.width):
            raise InputError(
                f"{data / file.file} holds frames of {row.height} x {row.width} pixels but "
                f"{first_file.file} of {first.height} x {first.width}: keep them in two data sets"
            )
        if row.action_space != first.action_space:
            raise InputError(
                f"{data / file.file} has the action space {row.action_space} but "
                f"{first_file.file} has {first.action_space}: keep them in two data sets"
            )
