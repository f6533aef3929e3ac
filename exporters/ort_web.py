"""The files of ONNX Runtime Web that a page needs, out of its npm package, which is pinned."""

import tarfile
from pathlib import Path

from worldmodel_env.data.cache import user_cache
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.manifest import sha256

VERSION = "1.30.0"
SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
"""Of the tarball that npm serves."""

PACKAGE = f"onnxruntime-web-{VERSION}.tgz"
WASM = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU = (
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
)
"""Files of the package, 14 MB for WebAssembly and 27 MB for WebGPU."""


def default_package() -> Path:
    """Where the package is looked for: the user's cache."""
    return user_cache() / PACKAGE


def copy_runtime(package: Path, folder: Path) -> None:
    """Unpack the files into a new folder.

    Args:
        package: the tarball.
        folder: where they go.

    Raises:
        InputError: the tarball is not there, or not the one that is pinned.
    """
    if not package.is_file() or sha256(package) != SHA256:
        raise InputError(
            f"{package} is {'another file than' if package.is_file() else 'not'} the npm package "
            f"of ONNX Runtime Web {VERSION}; fetch it with `npm pack onnxruntime-web@{VERSION}` "
            "and name the file with --ort-web, or run `make web-runtime`."
        )
    folder.mkdir()
    with tarfile.open(package) as archive:
        for name in (*WASM, *WEBGPU):
            member = archive.extractfile(f"package/dist/{name}")
            assert member is not None
            (folder / name).write_bytes(member.read())
