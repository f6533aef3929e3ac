"""How a benchmark reports: a table for people, a JSON file for README's tables."""

import json
import platform
from pathlib import Path


def report(results: dict[str, float], out: Path, *, cores: int) -> None:
    """Print `results` and write them with the machine's name to `out`."""
    for name, value in results.items():
        print(f"{name:<48}{value:12,.3f}" if value < 10 else f"{name:<48}{value:12,.0f}")
    out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"processor": platform.processor() or platform.machine(), "cores": cores}
    out.write_text(json.dumps({"machine": machine, "results": results}, indent=2) + "\n")
