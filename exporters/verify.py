"""Does every backend imagine the same? `python exporters/verify.py --world maze --out DIR`.

Runs the backends and precisions of this machine beside torch in float32, with the same noise and
actions: teacher-forced, and left to themselves. Writes drift.json and drift.png, prints a table,
and exits with status 1 if an error is larger than it may be.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from exporters.drift import Drift, Walks, limits, measure, within_limits
from exporters.drift_plot import plot_drift
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.imagination.backend import Backend, open_backend
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.imagination.graph_backend import GraphBackend
from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
from worldmodel_env.imagination.openvino_backend import OpenVino
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision

BACKENDS: tuple[tuple[str, Precision], ...] = (
    ("torch", "bf16"),
    ("onnxruntime", "fp32"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
)


def verify(
    world: str = "maze",
    out: Path = Path("drift"),
    export: Path | None = None,
    frames: int = 100,
    worlds: int = 8,
    steps: int | None = None,
    seed: int = 0,
) -> bool:
    """Measure the drift of every backend that runs here.

    Args:
        world: a shipped world's name or a world's folder.
        out: folder of drift.json and drift.png.
        export: a folder written by to_onnx.py or quantise.py, which is judged instead of the
            export in the cache.
        frames: length of the roll-outs.
        worlds: roll-outs, side by side.
        steps: passes of the prior; the world's own, or the export's, if not given.
        seed: of starts, actions and noise.

    Returns:
        Whether all errors are within their limits.
    """
    if frames < 1 or worlds < 1:
        raise InputError(f"frames is {frames} and worlds {worlds}; give 1 or more of each.")
    require_figures()
    loaded = World.load(world)
    given = None if export is None else Export.load(export, loaded)
    sampling = loaded.config.sampling if given is None else given.sampling
    if steps is not None:
        sampling = replace(sampling, steps=steps)
    loaded = replace(loaded, config=replace(loaded.config, sampling=sampling))
    walks = Walks.random(loaded, steps=frames, worlds=worlds, seed=seed)
    reference = TorchBackend(loaded, precision="fp32")
    drifts: dict[str, Drift] = {}
    passed = True
    print(f"{'':<34}{'teacher-forced':^26}{'left alone, codes equal':^32}")
    print(f"{'':<34}{'codes':>8}{'PSNR, dB':>10}{'':>8}" + _heading(frames))
    for name, number_format, backend in backends(loaded, given, worlds):
        drift = drifts[name] = measure(reference, backend, walks)
        good = within_limits(drift, limits(number_format, sampling))
        passed &= good
        print(
            f"{name:<34}{drift.forced.codes.mean():8.4f}{drift.forced.psnr.mean():10.1f}"
            f"{'' if good else '  FAILS':<8}{_at(drift, frames)}"
        )
    out.mkdir(parents=True, exist_ok=True)
    report = {
        "world": loaded.name,
        "digest": loaded.digest,
        "frames": frames,
        "worlds": worlds,
        "passed": passed,
        "backends": {name: _plain(drift) for name, drift in drifts.items()},
    }
    replace_file(out / "drift.json", (json.dumps(report, indent=1) + "\n").encode())
    plot_drift(drifts, out / "drift.png")
    return passed


def main() -> None:
    """The command line."""
    try:
        passed = tyro.cli(verify, description=__doc__)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    if not passed:
        print("an error is larger than it may be, see FAILS", file=sys.stderr)
        raise SystemExit(1)


def backends(world: World, export: Export | None, rows: int) -> Iterator[tuple[str, str, Backend]]:
    """Name, number format and backend, of all that can run here; says which cannot.

    Args:
        world: what to imagine.
        export: what others than torch run; the cache's if not given.
        rows: of every call.
    """
    for name, precision in BACKENDS:
        try:
            if export is None or name == "torch":
                backend = open_backend(world, name, batch=rows, precision=precision)
                yield f"{name} {precision}", precision, backend
                continue
            runtime = (OpenVino if name == "openvino" else OnnxRuntime)(
                batch=rows, threads=1, precision=precision
            )
            stored = export.precision
            shown = precision if stored == "fp32" else f"{precision}, {stored} weights"
            yield (
                f"{name} {shown}",
                precision if stored == "fp32" else stored,
                GraphBackend(world, export, runtime),
            )
        except InputError as error:
            if export is not None and name != "torch":
                raise
            print(f"{name} {precision}: {error}", file=sys.stderr)


def _moments(frames: int) -> list[int]:
    return [t for t in (1, 10, 30, 100, 300) if t < frames] + [frames]


def _heading(frames: int) -> str:
    return "".join(f"{f'frame {t}':>11}" for t in _moments(frames))


def _at(drift: Drift, frames: int) -> str:
    return "".join(f"{drift.free.codes[t - 1]:11.3f}" for t in _moments(frames))


def _plain(drift: Drift) -> dict[str, Any]:
    curves = {
        name: {k: np.round(v, 5).tolist() for k, v in vars(getattr(drift, name)).items()}
        for name in ("forced", "free")
    }
    return {**vars(drift), **curves}


if __name__ == "__main__":
    main()
