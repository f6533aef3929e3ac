"""Export a world as a static page: `python exporters/to_web.py --world maze --out site`.

Writes the graphs of an episode, ONNX Runtime Web and a page in which one walks with the arrow keys,
on WebGPU where the browser has it, else in WebAssembly. Any static server will do to look at it:
`python -m http.server --directory site`. ONNX Runtime Web comes from its npm package, which is
fetched beforehand (`make web-runtime`); nothing is downloaded here.
"""

import json
import os
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro

from exporters.ort_web import VERSION, copy_runtime, default_package
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.cached import cached_export
from worldmodel_env.imagination.export.manifest import Export, Options
from worldmodel_env.imagination.world import World
from worldmodel_env.play.controls import controls_of

PAGE = Path(__file__).parent / "web"
GRAPHS = ("begin", "decode", "step")
STARTS = 64
"""At most so many first frames go along."""


def to_web(
    world: str = "maze",
    out: Path = Path("site"),
    ort_web: Path | None = None,
    steps: int | None = None,
) -> Path:
    """Write the page of a world.

    Args:
        world: a shipped world's name or a world's folder.
        out: folder of the page; a page that was there before is replaced.
        ort_web: the npm package onnxruntime-web, a tarball; looked for in the user's
            cache if not given.
        steps: passes of the prior; the world's own if not given.

    Returns:
        The folder.

    Raises:
        InputError: no such world, its actions have no keys, the npm package is missing or another
            version, the world cannot be exported, or the folder holds something else.
    """
    loaded = World.load(world)
    sampling = loaded.config.sampling
    if steps is not None:
        sampling = replace(sampling, steps=steps)
    controls_of(loaded.action_space)  # refused before a minute of exporting
    if out.exists() and any(out.iterdir()) and not (out / "world.json").is_file():
        raise InputError(f"{out} holds something else than a page; choose another folder.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".page-", dir=out.parent) as temporary:
            page = Path(temporary) / "page"
            shutil.copytree(PAGE, page)
            copy_runtime(ort_web or default_package(), page / "ort")
            export = cached_export(loaded, Options(sampling))
            for name in GRAPHS:
                shutil.copy(export.file(name), page)
            about = json.dumps(_about(loaded, export))
            (page / "world.json").write_text(about + "\n")
            if out.exists():
                os.rename(out, Path(temporary) / "old")
            os.rename(page, out)
    except OSError as error:
        raise InputError(
            f"cannot write the page to {out} ({error.strerror}); free some space or choose another "
            "folder."
        ) from None
    return out


def main() -> None:
    """The command line."""
    try:
        out = tyro.cli(to_web, description=__doc__)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    print(summary(out))


def summary(out: Path) -> str:
    """Where the page is, for people."""
    return f"{out}: look at it with `python -m http.server --directory {out}`"


def _about(world: World, export: Export) -> dict[str, Any]:
    """What the page has to know, `world.json`."""
    starts = world.starts[:: max(1, len(world.starts) // STARTS)][:STARTS]
    noise = export.noise_shape("step")
    return {
        "name": world.name,
        "digest": world.digest,
        "onnxruntime-web": VERSION,
        "side": world.config.vqgan.resolution,
        "grid": world.config.teco.code_grid,
        "state": list(export.state),
        "noise": None if noise is None else list(noise),
        "graphs": {name: export.file(name).name for name in GRAPHS},
        "controls": [asdict(control) for control in controls_of(world.action_space)],
        "starts": starts.reshape(len(starts), -1).tolist(),
    }


if __name__ == "__main__":
    main()
