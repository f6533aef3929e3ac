"""Random access to episode files: handles kept open, small arrays kept in memory."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the zstd filter)
import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data import schema

OPEN_FILES = 64
KEPT_EPISODES = 8192

Columns = dict[str, Any]


class EpisodeReader:
    """Reads slices of episodes; safe between threads, and on both sides of a fork or a pickle."""

    def __init__(self) -> None:
        self._start()

    def frames(self, path: Path, key: str, start: int, stop: int) -> NDArray[np.uint8]:
        """Return frames `start` .. `stop` of the episode `key`, (stop-start, H, W, 3) uint8.

        Raises:
            FileNotFoundError: if the file is gone.
            OSError, KeyError, RuntimeError: if it is damaged.
        """
        with self._in_this_process():
            return self._file(path)[f"{key}/{schema.OBSERVATIONS}"][start:stop]

    def columns(self, path: Path, key: str) -> Columns:
        """Return all but the frames of the whole episode `key`; raises what `frames` raises.

        Returns:
            actions (T,...), rewards (T,), terminations (T,), truncations (T,), infos/pose (T+1, 3)
            where there is one, and `attributes`; not to be written to.
        """
        with self._in_this_process():
            if (path, key) not in self._columns:
                self._columns[path, key] = _read_columns(self._file(path)[key])
                if len(self._columns) > KEPT_EPISODES:
                    self._columns.popitem(last=False)
            return self._columns[path, key]

    def close(self) -> None:
        """Close the open files; reading opens them again."""
        with self._in_this_process():
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _in_this_process(self) -> threading.Lock:
        """The lock, after leaving behind the handles of a process that we were forked from."""
        if os.getpid() != self._pid:
            self._start()
        return self._lock

    def _file(self, path: Path) -> h5py.File:
        if path in self._files:
            self._files.move_to_end(path)
            return self._files[path]
        # Chunks are cached by the page cache; HDF5's own cache would cost 1 MB per open file.
        self._files[path] = h5py.File(path, "r", rdcc_nbytes=0)
        if len(self._files) > OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        return self._files[path]

    def _start(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        # Opening a file costs as much as decoding a chunk: the last used ones stay open.
        self._files: OrderedDict[Path, h5py.File] = OrderedDict()
        # All but the frames is small (8 KB for 300 steps).
        self._columns: OrderedDict[tuple[Path, str], Columns] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start()


def _read_columns(group: h5py.Group) -> Columns:
    columns = {
        name: group[name][()]
        for name in (schema.ACTIONS, schema.REWARDS, schema.TERMINATIONS, schema.TRUNCATIONS)
    }
    if schema.POSE in group:
        columns[schema.POSE] = group[schema.POSE][()]
    return {**columns, "attributes": dict(group.attrs)}
