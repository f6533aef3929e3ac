"""TensorRT engines of a world: an export whose files are engines instead of ONNX.

The manifest is an export's, with a section `engine`: package and version that built the engines,
their targets, the fewest, usual and most rows, the sha256 of each ONNX file, and whether they were
ever run.
"""

import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from worldmodel_env.data.cache import user_cache
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.cached import cached_export, remembered
from worldmodel_env.imagination.export.engine_builder import Request
from worldmodel_env.imagination.export.manifest import MANIFEST, Export, Options
from worldmodel_env.imagination.export.write import whole, write_manifest
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling

BUILDER = (sys.executable, "-m", "worldmodel_env.imagination.export.engine_builder")
PACKAGES = ("tensorrt", "tensorrt_rtx")
"""By preference: full TensorRT, then what builds ahead of time."""

NOT_RUN = "execution was not tested"


@dataclass(frozen=True)
class EngineOptions:
    """What decides the engines of a world.

    Attributes:
        sampling: of `step`.
        precision: fp32, fp16 or bf16.
        rows: fewest, usual and most rows of a call.
        targets: such as "sm_86"; none: this machine's GPU, else all usual ones.
        package: "tensorrt" or "tensorrt_rtx".
        workspace: most bytes of scratch memory, if limited.
    """

    sampling: Sampling
    precision: str = "fp16"
    rows: tuple[int, int, int] = (1, 16, 64)
    targets: tuple[str, ...] = ()
    package: str = PACKAGES[1]
    workspace: int | None = None

    @property
    def export(self) -> Options:
        """Of the manifest: rows are open unless all are one number."""
        batch = self.rows[0] if len(set(self.rows)) == 1 else None
        return Options(self.sampling, self.precision, batch)


def find_package(*, rtx: bool = False) -> str:
    """The TensorRT that is installed.

    Args:
        rtx: only TensorRT-RTX.

    Raises:
        InputError: none is.
    """
    for package in PACKAGES[1:] if rtx else PACKAGES:
        if find_spec(package) is not None:
            return package
    raise InputError(
        'engines need TensorRT, which is not installed; pip install "worldmodel-env[tensorrt]", or '
        "install full TensorRT from NVIDIA."
    )


def build_engines(world: World, folder: Path, options: EngineOptions) -> Export:
    """Build an engine of every graph into an empty folder, from the ONNX export in the cache.

    Its manifest is complete, but not yet written (`write_manifest`).

    Raises:
        InputError: an option that cannot be met, or TensorRT refuses a graph or runs out of memory.
    """
    onnx = cached_export(world, Options(options.sampling, options.precision))
    described = {
        name: {**graph, "file": f"{name}.engine"} for name, graph in onnx.manifest["graphs"].items()
    }
    made = Export(
        folder, {**onnx.manifest, "options": options.export.to_json(), "graphs": described}
    )
    timings = user_cache() / "engines" / f"{options.package}.timings"
    timings.parent.mkdir(parents=True, exist_ok=True)
    request = Request(
        package=options.package,
        files={str(onnx.file(name)): str(made.file(name)) for name in described},
        rows=options.rows,
        targets=options.targets,
        present=present_target(),
        precision=options.precision,
        workspace=options.workspace,
        timing_cache=str(timings),
    )
    made.manifest["engine"] = {
        "package": options.package,
        **_run(request),
        "rows": list(options.rows),
        "workspace": options.workspace,
        "onnx": {name: onnx.manifest["sha256"][onnx.file(name).name] for name in described},
        "execution": NOT_RUN,
    }
    return made


def cached_engines(world: World, options: EngineOptions) -> Export:
    """The engines in the cache, built first if they are missing, stale or damaged.

    Raises:
        InputError: as `build_engines`.
    """
    wanted = json.dumps([options.export.to_json(), options.rows, options.targets, options.package])
    name = f"{world.name}-{world.digest[:16]}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
    folder = user_cache() / "engines" / name

    def build() -> Export:
        with whole(folder) as temporary:
            made = build_engines(world, temporary, options)
            write_manifest(made)
        return Export(folder, made.manifest)

    return remembered(
        folder,
        lambda: Export.load(folder, world, options.export),
        build,
        f"building engines of world {world.name!r}, once",
    )


def refuse_onnx(folder: Path) -> None:
    """InputError if a folder holds an ONNX export, whose manifest engines would replace."""
    try:
        held = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return
    if "engine" not in held:
        raise InputError(f"{folder} holds an export to ONNX; choose another folder for engines.")


def engine_of(export: Export) -> dict[str, Any]:
    """The section `engine` of a manifest; InputError if the export is not of engines."""
    if "engine" not in export.manifest:
        raise InputError(
            f"{export.folder} holds ONNX files, not engines; build some with "
            "`python exporters/to_tensorrt.py`."
        )
    return export.manifest["engine"]


def present_target() -> str | None:
    """This machine's GPU as a target, such as "sm_90"; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}"


def _run(request: Request) -> dict[str, Any]:
    """Version and targets, as the builder's process reports them."""
    done = subprocess.run(BUILDER, input=request.to_json(), stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else {}
    except ValueError:
        answer = {}
    if done.returncode == 0 and "version" in answer:
        return answer
    if "error" in answer:
        raise InputError(answer["error"])
    number = -done.returncode
    how = signal.Signals(number).name if number > 0 else f"status {done.returncode}"
    raise InputError(
        f"the builder of engines ended with {how}, most likely for lack of memory; free some, or "
        "ask for fewer rows with --batch."
    )
