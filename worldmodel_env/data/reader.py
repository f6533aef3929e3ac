"""Random access to episode files: handles kept open, small arrays kept in memory."""

import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the zstd filter)
import numpy as np
from h5py import h5d, h5f, h5g, h5s
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
            return _read(self._file(path).id, f"{key}/{schema.OBSERVATIONS}", slice(start, stop))

    def columns(self, path: Path, key: str) -> Columns:
        """Return all but the frames of the whole episode `key`; raises what `frames` raises.

        Returns:
            actions (T,...), rewards (T,), terminations (T,), truncations (T,), and infos/pose
            (T+1, 3) where there is one; not to be written to.
        """
        with self._in_this_process():
            if (path, key) not in self._columns:
                self._columns[path, key] = _read_columns(self._file(path).id, key)
                if len(self._columns) > KEPT_EPISODES:
                    self._columns.popitem(last=False)
            return self._columns[path, key]

    def attributes(self, path: Path, key: str) -> dict[str, Any]:
        """Return the attributes of the episode `key`; raises what `frames` raises."""
        with self._in_this_process():
            return dict(self._file(path)[key].attrs)

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


def _read_columns(file: h5f.FileID, key: str) -> Columns:
    names = [schema.ACTIONS, schema.REWARDS, schema.TERMINATIONS, schema.TRUNCATIONS]
    if schema.POSE.encode() in h5g.open(file, key.encode()):
        names.append(schema.POSE)
    return {name: _read(file, f"{key}/{name}") for name in names}


def _read(file: h5f.FileID, name: str, rows: slice | None = None) -> NDArray[Any]:
    """All of an array, or some rows. h5py's own indexing takes twice as long for small ones."""
    array = h5d.open(file, name.encode())
    shape = array.shape
    if rows is None:
        result = np.empty(shape, array.dtype)
        array.read(h5s.ALL, h5s.ALL, result)
        return result
    wanted = (rows.stop - rows.start, *shape[1:])
    space = array.get_space()
    space.select_hyperslab((rows.start, *(0 for _ in shape[1:])), wanted)
    result = np.empty(wanted, array.dtype)
    array.read(h5s.create_simple(wanted), space, result)
    return result
