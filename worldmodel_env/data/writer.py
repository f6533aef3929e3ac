"""Write episodes to HDF5 so that a file is either whole or not there."""

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.errors import InputError

_SUFFIX = ".partial"
_ABANDONED_SECONDS = 3600.0


def write_episode(path: Path, episode: Episode) -> None:
    """Write one episode as one file, replacing what was there, atomically.

    Args:
        path: the file; its folder exists.
        episode: a whole episode whose attributes hold at least `seed`, `split` and `action_space`
            (a JSON text from `schema.space_to_json`); the group is called `episode_<seed>`.

    Raises:
        InputError: if the disk is full or the folder cannot be written; `path` is then untouched.
    """
    with hdf5_file(path) as file:
        add_episode(file, episode)


def add_episode(file: h5py.File, episode: Episode) -> None:
    """Add one episode to an open file, as the group `episode_<seed>`."""
    seed = int(episode.attributes["seed"])
    group = file.create_group(schema.episode_key(seed))
    frames = episode.observations
    group.create_dataset(
        schema.OBSERVATIONS,
        data=frames,
        chunks=(schema.CHUNK, *frames.shape[1:]),
        # A chunk larger than the data set is legal only if the data set may grow.
        maxshape=(None, *frames.shape[1:]),
        compression=hdf5plugin.Zstd(3),
    )
    group.create_dataset(schema.ACTIONS, data=episode.actions)
    group.create_dataset(schema.REWARDS, data=episode.rewards)
    group.create_dataset(schema.TERMINATIONS, data=episode.terminations)
    group.create_dataset(schema.TRUNCATIONS, data=episode.truncations)
    if episode.pose is not None:
        group.create_dataset(schema.POSE, data=episode.pose)
    attributes = {
        **episode.attributes,
        "id": seed,
        "total_steps": len(episode),
        "schema_version": schema.SCHEMA_VERSION,
        "sha256": episode.sha256,
    }
    for name, value in attributes.items():
        group.attrs[name] = _attribute(value)


def _attribute(value: Any) -> Any:
    """HDF5 stores numbers, texts and arrays of numbers; everything else becomes JSON."""
    if isinstance(value, str | bool | int | float | np.generic):
        return value
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, default=_plain)
    array = np.asarray(value)
    return json.dumps(value, default=_plain) if array.dtype.kind in "OUS" else array


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


@contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """Yield an empty HDF5 file in memory; when the block ends well, put it at `path` at once."""
    # HDF5 itself cannot recover from a disk that fills up while it writes; plain bytes can.
    # The v110 layout has smaller headers than the default one: episodes open twice as fast.
    with h5py.File(
        path.name,
        "w",
        driver="core",
        backing_store=False,
        block_size=1 << 20,
        libver=("v110", "v110"),
    ) as file:
        yield file
        file.flush()
        image = file.id.get_file_image()
    replace_file(path, image)


def replace_file(path: Path, content: bytes) -> None:
    """Put `content` at `path` atomically and durably; InputError (and no change) if it fails."""
    # Two writers of the same file must not share a temporary name.
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}-{os.getpid()}{_SUFFIX}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path} ({error.strerror}): free some space or choose another folder; "
            "the files already there are untouched"
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_abandoned(folder: Path) -> None:
    """Delete the temporary files that killed writers left in `folder`."""
    for path in folder.glob(f".*{_SUFFIX}"):
        host, _, pid = path.name.removesuffix(_SUFFIX).rpartition(".")[2].rpartition("-")
        with suppress(FileNotFoundError):
            if host == _host() and os.name == "posix":
                abandoned = not _is_running(int(pid))
            else:  # another machine may be writing here now, but no file takes an hour
                abandoned = time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
            if abandoned:
                path.unlink()


def _host() -> str:
    return socket.gethostname().replace(".", "_")


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
