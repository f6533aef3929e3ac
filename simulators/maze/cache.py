"""The WAD of each maze size, built once per user and kept in the cache folder."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from simulators.maze.pools import POOLS
from simulators.maze.wad import pool_wad
from worldmodel_env.data.cache import user_cache
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

_SAMPLE = dict.fromkeys(POOLS, 8)


@cache
def pool_path(size: int) -> Path:
    """The path of the pool WAD of one size, which is built if it is not there yet.

    Several processes may build it at once: each writes a file of its own and renames it into place,
    and all write the same bytes.

    Raises:
        InputError: the cache folder cannot be written.
    """
    path = user_cache() / f"maze-{size}-{_fingerprint(size)}.wad"
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, pool_wad(size))
    except OSError as error:
        raise InputError(
            f"SimMaze-v0 keeps its mazes in {path.parent}, where they could not be written "
            f"({error.strerror}); free some space there or set XDG_CACHE_HOME to another folder."
        ) from error
    return path


def _fingerprint(size: int) -> str:
    """A hash of the pools' sizes, of all pictures and of some mazes.

    Whatever changes the mazes (this code, or the random numbers of another numpy) changes the name
    of their file, so that a map and the layout drawn for it never disagree.
    """
    return hashlib.sha256(repr(POOLS).encode() + pool_wad(size, _SAMPLE)).hexdigest()[:12]
