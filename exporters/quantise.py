"""Store an export in 8 bits: `python exporters/quantise.py --world maze --export DIR --out DIR8`.

`--method weights` packs weights only: a quarter of the size, the same speed, for every runtime.
`--method products` lets ONNX Runtime multiply matrices in int8. Codebooks and the heads that codes
are drawn from stay as they are. Nothing is written unless the errors, measured as verify.py does,
are within their limits.
"""

import sys
from pathlib import Path
from typing import Literal

import tyro

from exporters.drift import Drift, Walks, limits, measure, within_limits
from exporters.int8 import METHODS
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.imagination.export.write import whole, write_manifest
from worldmodel_env.imagination.graph_backend import GraphBackend
from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World


def quantise(
    export: Path,
    out: Path,
    world: str = "maze",
    method: Literal["weights", "products"] = "weights",
    frames: int = 50,
    worlds: int = 4,
) -> Export:
    """Write a smaller copy of an export.

    Args:
        export: a folder written by to_onnx.py in fp32.
        out: folder of the copy.
        world: what was exported: a shipped world's name or a world's folder.
        method: "weights" or "products".
        frames: length of the roll-outs that judge it.
        worlds: roll-outs, side by side.

    Raises:
        InputError: the export is not this world's, not in fp32, or its copy strays too far.
    """
    loaded = World.load(world)
    source = Export.load(export, loaded)
    if source.precision != "fp32":
        raise InputError(f"{export} is in {source.precision}; quantise an export in 'fp32'.")
    rows = source.batch or worlds
    walks = Walks.random(loaded, steps=frames, worlds=rows, seed=0)
    reference = TorchBackend(loaded, precision="fp32", sampling=source.sampling)
    options = {**source.manifest["options"], "precision": "int8"}
    with whole(out) as folder:
        made = Export(folder, {**source.manifest, "options": options, "method": method})
        for name in made.manifest["graphs"]:
            METHODS[method](source.file(name), made.file(name))
        backend = GraphBackend(loaded, made, OnnxRuntime(batch=rows, threads=1))
        drift = measure(reference, backend, walks)
        least = limits("int8", source.sampling)
        if not within_limits(drift, least):
            raise InputError(
                f"method {method!r} strays too far from the model ({_summary(drift)}; needed "
                f"{least}); nothing was written: stay with fp32."
            )
        made.manifest["parity"] = {"codes": drift.forced.codes.mean(), "cache": drift.cache}
        write_manifest(made)
    print(f"{_summary(drift)}; {size(source):.1f} -> {size(Export(out, made.manifest)):.1f} MB")
    return Export(out, made.manifest)


def main() -> None:
    """The command line."""
    try:
        tyro.cli(quantise, description=__doc__)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _summary(drift: Drift) -> str:
    return (
        f"codes equal {drift.forced.codes.mean():.4f}, frames {drift.forced.psnr.mean():.1f} dB, "
        f"teacher-forced over {len(drift.forced.codes)} frames"
    )


def size(export: Export) -> float:
    """Megabytes of an export's files."""
    return sum(export.file(name).stat().st_size for name in export.manifest["graphs"]) / 1e6


if __name__ == "__main__":
    main()
