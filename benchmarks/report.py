"""How a benchmark reports: a table for people, a JSON file for README's tables."""

import json
import platform
from pathlib import Path


def report(results: dict[str, float], out: Path, *, cores: int, device: str | None = None) -> None:
    """Print `results` and write them to `out` with the machine (or accelerator)."""
    for name, value in results.items():
        print(f"{name:<48}{value:12,.3f}" if value < 10 else f"{name:<48}{value:12,.0f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": device or processor(), "cores": cores}
    out.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")


def processor() -> str:
    """The processor's model name, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
