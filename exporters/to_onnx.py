"""Export a world's functions to ONNX: `python exporters/to_onnx.py --world maze --out DIR`.

Writes begin, step, observe, encode and decode (worldmodel_env/imagination/export/graphs.py) and
`export.json`, which names every input and output. The files are checked against the model before
they are put in place. docs/exporting.md tells how to run them.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import tyro

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.cached import export_folder
from worldmodel_env.imagination.export.manifest import DYNAMIC, Export, Options
from worldmodel_env.imagination.export.write import write_export
from worldmodel_env.imagination.world import World


def to_onnx(
    world: str = "maze",
    out: Path | None = None,
    batch: str = DYNAMIC,
    precision: Literal["fp32", "fp16", "bf16"] = "fp32",
    steps: int | None = None,
    temperature: float | None = None,
) -> Export:
    """Export a world.

    Args:
        world: a shipped world's name or a world's folder.
        out: folder of the files; the user's cache, where backends look for them, if not given.
        batch: rows of every tensor, a number, or "dynamic".
        precision: of weights and state; fp16 and bf16 are for accelerators.
        steps: passes of the prior; the world's own if not given.
        temperature: of the prior; likewise.

    Returns:
        What was written.
    """
    loaded = World.load(world)
    sampling = loaded.config.sampling
    if steps is not None:
        sampling = replace(sampling, steps=steps)
    if temperature is not None:
        sampling = replace(sampling, temperature=temperature)
    options = Options(sampling, precision, _rows(batch))
    return write_export(loaded, out or export_folder(loaded, options), options)


def main() -> None:
    """The command line."""
    began = time.perf_counter()
    try:
        export = tyro.cli(to_onnx, description=__doc__)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(*summary(export), sep="\n")
    print(f"{export.folder}: exported and checked in {time.perf_counter() - began:.0f} s")


def summary(export: Export) -> list[str]:
    """Files and their parity with the model, in lines for people."""
    files = [export.file(name) for name in export.manifest["graphs"]]
    sizes = [f"{file.name:<16}{file.stat().st_size / 1e6:8.1f} MB" for file in files]
    return [*sizes, ", ".join(f"{k} {v:.6g}" for k, v in export.manifest["parity"].items())]


def _rows(batch: str) -> int | None:
    if batch == DYNAMIC:
        return None
    if not batch.isdecimal():
        raise InputError(f"batch is {batch!r}; give a number of rows, or {DYNAMIC!r}.")
    return int(batch)


if __name__ == "__main__":
    main()
