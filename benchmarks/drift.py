"""How far backends and int8 copies stray from torch in float32: `python -m benchmarks.drift`.

The measurement of `exporters/verify.py`, of the shipped world, for the tables of docs/exporting.md;
int8 copies are those that `exporters/quantise.py` writes.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from benchmarks.report import report
from exporters.drift import SOON, Drift, Walks, measure
from exporters.int8 import METHODS
from exporters.quantise import quantise, size
from exporters.verify import backends
from worldmodel_env.imagination.export.cached import cached_export
from worldmodel_env.imagination.export.manifest import Export, Options
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World

MOMENTS = (SOON, 30, 100)


def main(
    world: str = "maze",
    frames: int = 100,
    worlds: int = 8,
    out: Path = Path("benchmarks/results/drift.json"),
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        frames: length of the roll-outs.
        worlds: roll-outs, side by side.
        out: where the JSON goes.
    """
    loaded = World.load(world)
    walks = Walks.random(loaded, steps=frames, worlds=worlds, seed=0)
    reference = TorchBackend(loaded, precision="fp32")
    export = cached_export(loaded, Options(loaded.config.sampling))
    results: dict[str, float] = {"walks": worlds, "frames": frames}

    def add(given: Export | None, suffix: str = "") -> None:
        for name, _, backend in backends(loaded, given, worlds):
            if name.startswith("torch") and given is not None:
                continue
            key = name.split(",")[0] + suffix
            results.update(_numbers(key, measure(reference, backend, walks)))

    add(None)
    results["fp32: MB"] = size(export)
    with TemporaryDirectory() as folder:
        for method in METHODS:
            copy = quantise(export.folder, Path(folder) / method, world, method, frames, worlds)
            results[f"{method}: MB"] = size(copy)
            add(copy, f", {method}")
    report(results, out, cores=1, world=loaded)


def _numbers(name: str, drift: Drift) -> dict[str, float]:
    forced, free = drift.forced, drift.free
    return {
        f"{name}: codes equal, teacher-forced": float(forced.codes.mean()),
        f"{name}: PSNR, dB": float(forced.psnr.mean()),
        **{
            f"{name}: codes equal, left alone, frame {t}": float(free.codes[t - 1])
            for t in MOMENTS
            if t <= len(free.codes)
        },
    }


if __name__ == "__main__":
    tyro.cli(main)
