"""`worldmodel doctor`: what is installed, what works here, what to do about the rest."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import (
    PackageNotFoundError,
    packages_distributions,
    requires,
    version,
)

from worldmodel_env._version import __version__

DISTRIBUTION = "worldmodel-env"
FOR_DEVELOPERS = ("demo", "test")
"""Extras that only gather others."""
TOP_LEVEL = ("simulators", "agents", "exporters")
SIMULATORS = (
    "SimMaze-v0", "SimDoom-v0", "SimMiniWorld-v0", "SimMemoryMaze-v0", "SimDMLab-v0",
    "SimMinecraft-v0", "SimHabitat-v0",
)  # fmt: skip
NEEDS = {"SimHabitat-v0": "habitat_sim"}
"""Modules to look for first: what is said without them would mislead."""
TRY = """
import sys, gymnasium, simulators
env = gymnasium.make(sys.argv[1])
env.reset(seed=0)
env.step(env.action_space.sample())
env.close()
"""


def examine() -> Iterator[str]:
    """A report, line by line, for people."""
    for part in (
        _versions, _extras, _processor, _backends, _simulators, _worlds, _metrics, _names,
    ):  # fmt: skip
        yield from part()


def _versions() -> Iterator[str]:
    yield f"worldmodel-env {__version__}, Python {platform.python_version()}, {sys.platform}"
    names = ("torch", "gymnasium", "numpy", "h5py")
    yield "  " + ", ".join(f"{name} {version(name)}" for name in names)


def extras() -> dict[str, list[str]]:
    """The packages that each optional feature adds."""
    found: dict[str, list[str]] = {}
    for line in requires(DISTRIBUTION) or []:
        package = re.split(r"[^\w.-]", line)[0]
        for extra in re.findall(r"""extra == ["']([\w-]+)["']""", line):
            if extra not in FOR_DEVELOPERS and package != DISTRIBUTION:
                found.setdefault(extra, []).append(package)
    return found


def _extras() -> Iterator[str]:
    for extra, packages in extras().items():
        missing = [p for p in packages if not _installed(p)]
        if missing:
            yield (
                f'[ ] {extra}: {", ".join(missing)} missing; pip install "worldmodel-env[{extra}]"'
            )
        else:
            yield f"[x] {extra}: " + ", ".join(f"{p} {version(p)}" for p in packages)


def _processor() -> Iterator[str]:
    import torch

    from worldmodel_env.precision import has_bf16, resolve_device

    device = resolve_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    yield f"[x] device {device} ({name or platform.machine()}), {torch.get_num_threads()} threads"
    if has_bf16(device):
        yield "[x] bfloat16 matrix products in hardware"
    else:
        yield "[ ] no bfloat16 matrix products in hardware: computing in float32"


def _backends() -> Iterator[str]:
    from worldmodel_env.errors import InputError
    from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
    from worldmodel_env.imagination.openvino_backend import OpenVino
    from worldmodel_env.imagination.tensorrt_backend import TensorRt

    yield "[x] backend torch"
    if shutil.which(os.environ.get("CXX", "g++")):
        yield "[x] backend torch-compiled"
    else:
        yield "[ ] backend torch-compiled: there is no C++ compiler; install g++"
    makers: dict[str, Callable[[], object]] = {
        "onnxruntime": lambda: OnnxRuntime(batch=1, threads=1),
        "openvino": lambda: OpenVino(batch=1, threads=1),
        "tensorrt": lambda: TensorRt(batch=1),
    }
    for name, make in makers.items():
        try:
            make()
        except InputError as error:
            yield f"[ ] backend {name}: {error}"
        else:
            yield f"[x] backend {name}"


def _simulators() -> Iterator[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, trouble in zip(SIMULATORS, pool.map(trouble_with, SIMULATORS), strict=True):
            yield f"[ ] simulator {name}: {trouble}" if trouble else f"[x] simulator {name}"
    yield "    how each is installed: docs/simulators.md"


def trouble_with(simulator: str) -> str:
    """What a simulator says when a step is tried in a process of its own; empty if all is well."""
    if (module := NEEDS.get(simulator)) and importlib.util.find_spec(module) is None:
        return f"needs the module {module}"
    command = [sys.executable, "-c", TRY, simulator]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "no step within 120 s"
    if done.returncode == 0:
        return ""
    last = (done.stderr.strip().splitlines() or [f"ended with status {done.returncode}"])[-1]
    return last.removeprefix("worldmodel_env.errors.InputError: ")


def _worlds() -> Iterator[str]:
    from worldmodel_env.errors import InputError
    from worldmodel_env.imagination.backend import fastest
    from worldmodel_env.imagination.world import World, shipped_worlds
    from worldmodel_env.precision import resolve_device

    for name in shipped_worlds():
        try:
            world = World.load(name)
        except InputError as error:
            yield f"[ ] world {name}: {error}"
        else:
            yield f"[x] world {name}: {len(world.starts)} starts, checksums right"
            backend = fastest(world)
            if backend == "torch" and resolve_device().type == "cpu":
                command = f"worldmodel export --world {name}"
                yield f"[ ] world {name} runs in torch; faster once exported: `{command}`"
            else:
                yield f"[x] world {name} runs in {backend}"


def _metrics() -> Iterator[str]:
    from worldmodel_env.evaluation.metrics.sources import I3D, LPIPS
    from worldmodel_env.evaluation.metrics.weights import WeightsMissing, load

    for name, source in (("LPIPS", LPIPS["alex"]), ("FVD", I3D)):
        try:
            load(source)
        except WeightsMissing as error:
            yield f"[ ] {name}: {error}"
        else:
            yield f"[x] {name} weights"


def _names() -> Iterator[str]:
    """Other distributions that install a package of the same name as one of ours."""
    owners = packages_distributions()
    for name in TOP_LEVEL:
        others = sorted(set(owners.get(name, [])) - {DISTRIBUTION})
        if others:
            yield f"[ ] package {name!r} is also installed by {', '.join(others)}; uninstall it"
        elif importlib.util.find_spec(name) is None:
            yield f"[ ] package {name!r} is not importable; reinstall worldmodel-env"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
