"""How a benchmark reports: a table for people, a JSON file for README's tables, pictures."""

import json
import platform
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worldmodel_env.data.writer import replace_file
from worldmodel_env.imagination.world import World


def report(
    results: dict[str, float],
    out: Path,
    *,
    cores: int,
    device: str | None = None,
    world: World | None = None,
) -> None:
    """Print `results` and write them to `out` with the machine (or accelerator) and the world."""
    for name, value in results.items():
        print(f"{name:<48}{value:12,.3f}" if value < 10 else f"{name:<48}{value:12,.0f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    about: dict[str, Any] = {"machine": {"processor": device or processor(), "cores": cores}}
    if world is not None:
        about["world"] = {"name": world.name, "digest": world.digest}
    out.write_text(json.dumps({**about, "results": results}, indent=2) + "\n")


def write_picture(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write (H, W, 3) as a PNG, and its folder if need be."""
    image = BytesIO()
    Image.fromarray(pixels).save(image, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, image.getvalue())


def processor() -> str:
    """The processor's model name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
