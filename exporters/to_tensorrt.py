"""Build TensorRT engines: `python exporters/to_tensorrt.py --world maze --out engines`.

Exports the world to ONNX in the precision asked for (the user's cache keeps it), builds an engine
of every graph, with full TensorRT where it is installed, else with TensorRT-RTX, which needs no GPU
for it, and writes a manifest. On a machine whose GPU can run the engines, their drift from torch
and their latency are measured before they are put in place; elsewhere it says that execution was
not tested.
"""

import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro

from exporters.drift import Walks, limits, measure, within_limits
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.engines import (
    NOT_RUN,
    EngineOptions,
    build_engines,
    find_package,
    present_target,
    refuse_onnx,
)
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.imagination.export.write import whole, write_manifest
from worldmodel_env.imagination.graph_backend import GraphBackend
from worldmodel_env.imagination.tensorrt_backend import TensorRt
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World

PRECISIONS = ("fp32", "fp16", "bf16")
STEPS = 100
"""Of which the latency is the median, and the drift the mean."""


def to_tensorrt(
    world: str = "maze",
    out: Path = Path("engines"),
    precision: str = "fp16",
    batch: str = "1,16,64",
    targets: str = "",
    rtx: bool = False,
    workspace: float | None = None,
    steps: int | None = None,
    temperature: float | None = None,
) -> Export:
    """Build engines of a world.

    Args:
        world: a shipped world's name or a world's folder.
        out: folder of the engines and their manifest.
        precision: fp32, fp16 or bf16, of weights, state and products.
        batch: fewest, usual and most rows, such as 1,16,64; one number fixes it.
        targets: GPUs to build for, such as sm_80,sm_86; if not given this machine's, or without a
            GPU all that TensorRT-RTX builds for in one engine.
        rtx: use TensorRT-RTX even where full TensorRT is installed.
        workspace: most GiB of scratch memory on the GPU; no limit if not given.
        steps: passes of the prior; the world's own if not given.
        temperature: of the prior; likewise.

    Returns:
        What was written.

    Raises:
        InputError: an option cannot be met, TensorRT is missing, refuses a graph or runs out of
            memory, or the engines stray too far from the model; nothing is written then.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision is {precision!r}; build engines in {', '.join(PRECISIONS)} (int8 needs "
            "scales that these worlds were not measured for)."
        )
    if workspace is not None and workspace <= 0:
        raise InputError(f"workspace is {workspace}; give a number of GiB greater than 0.")
    rows, aims, package = _rows(batch), _targets(targets), find_package(rtx=rtx)
    refuse_onnx(out)
    loaded = World.load(world)
    sampling = loaded.config.sampling
    if steps is not None:
        sampling = replace(sampling, steps=steps)
    if temperature is not None:
        sampling = replace(sampling, temperature=temperature)
    scratch = None if workspace is None else round(workspace * 2**30)
    options = EngineOptions(sampling, precision, rows, aims, package, scratch)
    with whole(out) as folder:
        made = build_engines(loaded, folder, options)
        made.manifest["engine"]["execution"] = run_here(loaded, made)
        write_manifest(made)
    return Export(out, made.manifest)


def run_here(world: World, engines: Export) -> dict[str, Any] | str:
    """Drift and latency of engines on this machine's GPU; why not, where they cannot run.

    Raises:
        InputError: they stray too far, or do not load on a GPU that they were built for.
    """
    target, built = present_target(), engines.manifest["engine"]
    if target is None:
        return f"{NOT_RUN}: there is no GPU here"
    least, usual, most = built["rows"]
    try:
        backend = GraphBackend(world, engines, TensorRt(batch=usual))
    except InputError as error:
        if target in built["targets"]:
            raise
        return f"{NOT_RUN}: {error}"
    reference = TorchBackend(world, precision="fp32", sampling=engines.sampling)
    walks = Walks.random(world, steps=STEPS, worlds=usual, seed=0)
    drift = measure(reference, backend, walks)
    least = limits(engines.precision, engines.sampling)
    if not within_limits(drift, least):
        raise InputError(
            f"the {engines.precision} engines stray too far from the model (codes equal "
            f"{drift.forced.codes.mean():.4f}, {drift.forced.psnr.mean():.1f} dB, needed "
            f"{least}); nothing was written: build with --precision fp32."
        )
    rows = sorted({least, usual, most})
    return {
        "gpu": target,
        "codes equal": float(drift.forced.codes.mean()),
        "PSNR, dB": float(drift.forced.psnr.mean()),
        "ms a step": {str(n): latency(world, engines, n) for n in rows},
    }


def latency(world: World, engines: Export, rows: int) -> float:
    """Median milliseconds of a step of so many worlds, until its frames are there."""
    import numpy as np
    import torch

    backend = GraphBackend(world, engines, TensorRt(batch=rows))
    walks = Walks.random(world, steps=STEPS, worlds=rows, seed=0)
    state, keys = backend.begin(walks.starts), walks.keys.to(backend.device)
    seconds = []
    for action in walks.actions:
        began = time.perf_counter()
        state, _ = backend.step(state, action, keys)
        torch.cuda.synchronize(backend.device)
        seconds.append(time.perf_counter() - began)
    return 1e3 * float(np.median(seconds))


def main() -> None:
    """The command line."""
    began = time.perf_counter()
    try:
        engines = tyro.cli(to_tensorrt, description=__doc__)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(*summary(engines), sep="\n")
    print(f"{engines.folder}: built in {time.perf_counter() - began:.0f} s")


def summary(engines: Export) -> list[str]:
    """What was built, and whether it was run, in lines for people."""
    built = engines.manifest["engine"]
    files = [engines.file(name) for name in engines.manifest["graphs"]]
    lines = [f"{file.name:<16}{file.stat().st_size / 1e6:8.1f} MB" for file in files]
    least, usual, most = built["rows"]
    lines.append(
        f"{built['package']} {built['version']}, {engines.precision}, {least} to {most} rows "
        f"(usually {usual}), for {', '.join(built['targets'])}"
    )
    found = built["execution"]
    if isinstance(found, str):
        return [*lines, found]
    lines.append(
        f"ran on {found['gpu']}: codes equal {found['codes equal']:.4f}, {found['PSNR, dB']:.1f} dB"
    )
    return [*lines, *(f"{n} rows: {ms:.2f} ms a step" for n, ms in found["ms a step"].items())]


def _rows(batch: str) -> tuple[int, int, int]:
    parts = batch.split(",")
    numbers = [int(part) for part in parts if part.strip().isdecimal()]
    rows = tuple(numbers * 3 if len(numbers) == 1 else numbers)
    if len(numbers) != len(parts) or len(rows) != 3 or not 1 <= rows[0] <= rows[1] <= rows[2]:
        raise InputError(f"batch is {batch!r}; give min,opt,max, such as 1,16,64, or one number.")
    return rows


def _targets(text: str) -> tuple[str, ...]:
    targets = tuple(part.strip() for part in text.split(",")) if text else ()
    for target in targets:
        if not re.fullmatch(r"sm_\d{2,3}", target):
            raise InputError(f"target {target!r} is no GPU's; give some such as sm_80,sm_86.")
    return targets


if __name__ == "__main__":
    main()
