"""Exports that backends make for themselves, kept in the user's cache."""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from filelock import AcquireReturnProxy, FileLock, Timeout

from worldmodel_env.data.cache import user_cache
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.manifest import Export, Options, read_manifest
from worldmodel_env.imagination.export.write import UNFINISHED, write_export
from worldmodel_env.imagination.world import World


def export_folder(world: World, options: Options) -> Path:
    """Where this world's export with these options is kept."""
    wanted = hashlib.sha256(json.dumps(options.to_json(), sort_keys=True).encode()).hexdigest()
    return user_cache() / "exports" / f"{world.name}-{world.digest[:16]}-{wanted[:8]}"


def is_cached(world: World, options: Options) -> bool:
    """Whether `cached_export` would find an export that is not stale, without reading all of it."""
    try:
        read_manifest(export_folder(world, options), world, options)
    except InputError:
        return False
    return bool(world.digest)


def cached_export(world: World, options: Options) -> Export:
    """The export in the cache, made first if it is missing, stale or damaged.

    Takes about a minute of one core the first time, says so on stderr, and lets other processes
    that want the same wait.

    Raises:
        InputError: the world was never saved, or it cannot be exported.
    """
    if not world.digest:
        raise InputError(
            f"world {world.name!r} is not on disk, and only the torch backend runs such worlds; "
            "save it and load it again, or use backend='torch'."
        )
    folder = export_folder(world, options)
    return remembered(
        folder,
        lambda: Export.load(folder, world, options),
        lambda: write_export(world, folder, options),
        f"exporting world {world.name!r} to ONNX, once, about a minute",
    )


def remembered(
    folder: Path, load: Callable[[], Export], make: Callable[[], Export], doing: str
) -> Export:
    """What `load` reads from a folder of the cache; where it refuses, what `make` puts there.

    Args:
        folder: in the cache; one process at a time makes it.
        load: raises InputError if what is there cannot be used.
        make: puts it there and returns it.
        doing: what `make` does, for stderr.

    Raises:
        InputError: `make`'s, or the cache cannot be written.
    """
    try:
        return load()
    except InputError:
        pass
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            try:
                return load()  # another process has made it meanwhile
            except InputError:
                return _made(folder, make, doing)
    except OSError as error:
        raise InputError(
            f"cannot write to the cache {folder.parent} ({error.strerror}); free some space or set "
            "XDG_CACHE_HOME to another folder."
        ) from None


def _made(folder: Path, make: Callable[[], Export], doing: str) -> Export:
    print(f"worldmodel: {doing} ...", file=sys.stderr, flush=True)
    for abandoned in folder.glob(f"{UNFINISHED}*"):  # by a process that was killed
        shutil.rmtree(abandoned, ignore_errors=True)
    began = time.monotonic()
    export = make()
    print(f"worldmodel: done in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return export


def _alone(folder: Path) -> AcquireReturnProxy:
    lock = FileLock(f"{folder}.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print("worldmodel: another process is at it; waiting ...", file=sys.stderr)
        return lock.acquire()
