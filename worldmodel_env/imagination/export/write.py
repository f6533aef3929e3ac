"""Write a world's graphs as ONNX files, checked before they are put in place."""

import json
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.graphs import Functions, Graph
from worldmodel_env.imagination.export.manifest import (
    DYNAMIC,
    MANIFEST,
    SCHEMA_VERSION,
    Export,
    Options,
    origin,
    sha256,
)
from worldmodel_env.imagination.export.parity import check_parity
from worldmodel_env.imagination.export.widen import widen
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.torch_backend import lowered
from worldmodel_env.imagination.world import World

OPSETS = {"fp32": 20, "fp16": 20, "bf16": 22}
"""Precision -> version of the operators: old ones, which more runtimes know and which are without
Attention, about whose masks they disagree; convolutions have bfloat16 since 22."""

MOST_ROWS = 1 << 16
ROWS = "batch"
"""Name of the dimension that is left open."""

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
UNFINISHED = ".export-"
"""What the names of folders that are being written begin with."""

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def write_export(world: World, folder: str | Path, options: Options) -> Export:
    """Export a world, check the files, and put them into `folder`.

    Nothing is left there unless all is well; an export that was there before is replaced.

    Args:
        world: as loaded from disk.
        folder: made if need be.
        options: which files.

    Returns:
        The export, whose manifest holds the differences from the model that were measured.

    Raises:
        InputError: a package is missing, an option is out of range, the folder cannot be written,
            or the files compute something else than the model.
    """
    check_options(options)
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(
            f'exporting needs {", ".join(missing)}; pip install "worldmodel-env[onnx]".'
        )
    folder = Path(folder)
    model = lowered(world.imagination(options.sampling), PRECISIONS[options.precision])
    functions = Functions.of(model, options.batch or 2)
    with whole(folder) as temporary:
        made = Export(temporary, _write(functions, temporary, world, options))
        made.manifest["parity"] = _parity(made, model, options)
        write_manifest(made)
    return Export(folder, made.manifest)


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """An empty folder whose files are put into `folder` if the block ends well, else deleted.

    A `folder` that was not there before is then not there after.

    Raises:
        InputError: it cannot be written.
    """
    existed = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=UNFINISHED, dir=folder) as temporary:
            yield Path(temporary)
            files = sorted(Path(temporary).iterdir(), key=lambda path: path.name == MANIFEST)
            for file in files:  # last the manifest, because it vouches for the others
                os.replace(file, folder / file.name)
    except OSError as error:
        raise InputError(
            f"cannot write the export to {folder} ({error.strerror}); free some space or choose "
            "another folder."
        ) from None
    finally:
        if not existed and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def write_manifest(export: Export) -> None:
    """Write the manifest of files that lie in the export's folder already, with their sums."""
    files = sorted(path for path in export.folder.iterdir() if path.name != MANIFEST)
    export.manifest["sha256"] = {path.name: sha256(path) for path in files}
    (export.folder / MANIFEST).write_text(json.dumps(export.manifest, indent=1) + "\n")


def check_options(options: Options) -> None:
    """InputError unless precision and batch can be exported."""
    if options.precision not in PRECISIONS:
        raise InputError(
            f"precision is {options.precision!r}; export {', '.join(map(repr, PRECISIONS))} (of "
            "fp32 exporters/quantise.py makes int8)."
        )
    if options.batch is not None and not 1 <= options.batch <= MOST_ROWS:
        raise InputError(
            f"batch is {options.batch}; give 1 to {MOST_ROWS}, or {DYNAMIC!r} for any number."
        )


def _write(functions: Functions, folder: Path, world: World, options: Options) -> dict[str, Any]:
    """Write the graphs and return what the manifest says of them."""
    described = {}
    for graph in functions.graphs.values():
        file = folder / f"{graph.name}.onnx"
        _write_graph(graph, file, options.batch, OPSETS[options.precision])
        described[graph.name] = {"file": file.name, **_signature(file, options.batch)}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": world.name,
        "origin": origin(world),
        "written_by": {name: version(name) for name in ("torch", *NEEDED)},
        "options": options.to_json(),
        "opset": OPSETS[options.precision],
        "state": list(functions.state),
        "graphs": described,
    }


def _parity(made: Export, model: Imagination, options: Options) -> dict[str, float]:
    """Differences from the model; a bf16 export is judged by its copy in float32."""
    if options.precision != "bf16":
        return check_parity(made, Functions.of(model, options.batch or 2), options)
    with TemporaryDirectory() as folder:
        wide = Export(Path(folder), made.manifest)
        for name in made.manifest["graphs"]:
            widen(made.file(name), wide.file(name))
        functions = Functions.of(lowered(model, torch.float32), options.batch or 2)
        return check_parity(wide, functions, options)


@torch.no_grad()
def _write_graph(graph: Graph, file: Path, batch: int | None, opset: int) -> None:
    import onnx

    rows = torch.export.Dim(ROWS, min=1, max=MOST_ROWS)
    shapes = None if batch else (tuple({0: rows} for _ in graph.inputs),)
    with _quiet():
        program = torch.onnx.export(
            graph.eval(),
            tuple(graph.inputs.values()),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=shapes,
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.save(file)
    onnx.checker.check_model(str(file), full_check=True)


def _signature(file: Path, batch: int | None) -> dict[str, Any]:
    """Names, types and shapes of what goes in and comes out."""
    import onnx

    def described(value: Any) -> dict[str, Any]:
        tensor = value.type.tensor_type
        shape = [d.dim_param or d.dim_value for d in tensor.shape.dim]
        # The exporter fixes a size that the code made a Python number of, without a word.
        assert shape[0] == (batch or ROWS), (file.name, value.name, shape)
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        return {"name": value.name, "dtype": dtype, "shape": shape}

    graph = onnx.load(str(file), load_external_data=False).graph
    return {
        "inputs": [described(value) for value in graph.input],
        "outputs": [described(value) for value in graph.output],
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks about packages and types that are none of ours."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
