"""Write README's tables from benchmarks/results/*.json: `python -m benchmarks.readme`."""

import json
from pathlib import Path
from typing import Any

RESULTS = Path("benchmarks/results")
README = Path("README.md")
BEGIN = "<!-- results: written by `python -m benchmarks.readme` from benchmarks/results/*.json -->"
END = "<!-- end of results -->"
HORIZONS = (1, 5, 10, 25)


def quality_table(report: dict[str, Any]) -> list[str]:
    """The world's quality by horizon, from the JSON of `worldmodel evaluate`."""
    protocol, curves = report["protocol"], report["curves"]
    horizons = [h for h in HORIZONS if h <= len(report["horizons"])]
    lines = [
        f"World `{protocol['world']}` on {report['episodes']} held-out episodes, "
        f"{protocol['context']} frames of context, recorded actions replayed:",
        "",
        "| frames ahead | " + " | ".join(map(str, horizons)) + " |",
        "|---|" + "---:|" * len(horizons),
    ]
    names = {"world": "imagined", "copy_last": "last frame copied", "tokenizer": "tokenizer alone"}
    for metric, unit, digits in (("psnr", "PSNR, dB", 1), ("lpips", "LPIPS (alex)", 3)):
        for series, name in names.items():
            if curves[series][metric] is not None:
                values = curves[series][metric]["mean"]
                cells = " | ".join(f"{values[h - 1]:.{digits}f}" for h in horizons)
                lines.append(f"| {unit}: {name} | {cells} |")
    cells = " | ".join(f"{report['shuffled_psnr'][h - 1]:.1f}" for h in horizons)
    lines.append(f"| PSNR, dB: imagined, actions of another episode | {cells} |")
    return lines


def speed_table(rows: dict[str, tuple[str, str, str]]) -> list[str]:
    """Speeds: what -> (JSON file, key in its results, unit)."""
    lines = ["| on one CPU core | |", "|---|---:|"]
    machines = set()
    for name, (file, key, unit) in rows.items():
        content = json.loads((RESULTS / file).read_text())
        machines.add(content["machine"]["processor"])
        value = content["results"][key]
        lines.append(f"| {name} | {value:,.{0 if value >= 10 else 1}f} {unit} |")
    return [*lines, "", f"Processor: {', '.join(sorted(machines))}."]


SPEEDS = {
    "`SimMaze-v0`, stepping": (
        "simulator.json",
        "goal: stepping, observations/s",
        "observations/s",
    ),
    "`SimMaze-v0`, reset": ("simulator.json", "goal: reset, mean ms", "ms"),
    "recording, compressed and on disk": (
        "recording.json",
        "recording, 1 core, frames/s",
        "frames/s",
    ),
    "`TecoMaze-v0`, one world": ("imagination.json", "one world, frames/s", "frames/s"),
    "16 worlds in one batch": ("imagination.json", "16 worlds, frames/s", "frames/s"),
}


def tables() -> str:
    """Everything between README's two markers."""
    report = json.loads((RESULTS / "maze.json").read_text())
    return "\n".join([*quality_table(report), "", *speed_table(SPEEDS)])


def render(readme: str) -> str:
    """`readme` with fresh tables."""
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{tables()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(render(README.read_text()))
