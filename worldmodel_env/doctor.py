"""`worldmodel doctor`: what is installed, what works here, what to do about the rest."""

import importlib.util
import platform
import re
import sys
from collections.abc import Iterator
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


def examine() -> str:
    """A report of several lines, for people."""
    return "\n".join([*_versions(), *_extras(), *_processor(), *_worlds(), *_metrics(), *_names()])


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
