"""Write the tables of README and docs from benchmarks/results: `python -m benchmarks.tables`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.runtime_tables import drift_table, int8_table, step_table

RESULTS = Path("benchmarks/results")
BEGIN = "<!-- {name}: written by `python -m benchmarks.tables` from benchmarks/results/*.json -->"
END = "<!-- end -->"
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


def readme_tables() -> list[str]:
    """Quality and speed of the shipped world, and of its step in every backend."""
    report = json.loads((RESULTS / "maze.json").read_text())
    return [*quality_table(report), "", *speed_table(SPEEDS), "", *step_table()]


def environment_table() -> list[str]:
    """`TecoMaze-v0` by one world and by a batch; how soon it is there."""
    content = json.loads((RESULTS / "environment.json").read_text())
    found, machine = content["results"], content["machine"]["processor"]
    lines = [
        "| | one world | 16 in one batch | a frame of 16, times cheaper |",
        "|---|---:|---:|---:|",
    ]
    for precision in ("bf16", "fp32"):
        one, many = (found[f"{rows}, {precision}, frames/s"] for rows in ("one", "16"))
        gain = found[f"16 over one, {precision}"]
        lines.append(f"| frames/s, {precision} | {one:.0f} | {many:.0f} | {gain:.2f} |")
    one, many = (found[f"Gymnasium's share of a step, {rows}"] for rows in ("one", "16"))
    lines.append(f"| Gymnasium's share of a step | {one:.1%} | {many:.1%} | |")
    one, many = found["reset, ms"], found["reset of 16, ms"]
    lines.append(f"| reset, ms | {one:.0f} | {many:.0f} | |")
    return [
        *lines, "",
        f"First frame: {found['first frame, torch imported, s']:.1f} s after `make` where torch is "
        f"imported, {found['first frame, cold, s']:.1f} s in a new process. Of "
        f"{found['roll-out: steps']:,.0f} steps in one episode the last tenth took "
        f"{found['roll-out: CPU ms a frame, last tenth over first']:.2f} times the CPU time of the "
        f"first, and {found['roll-out: memory, last tenth over first']:.3f} times its memory. One "
        f"core, default backend with the world exported; processor: {machine}.",
    ]  # fmt: skip


def cost_table() -> list[str]:
    """TECO beside its reference."""
    content = json.loads((RESULTS / "teco.json").read_text())
    found = content["results"]
    rows = {
        "training step, T = 20, CPU s": "training step, T=20, CPU s",
        "... share of the reference's": "training step, share of the reference's",
        "sampled frame, T = 20, CPU s": "sampled frame, T=20, CPU s",
        "... share of what the reference takes": "sampled frame, T=20, share of the reference's",
        "sampled frame, T = 300, whole clip anew, CPU s": "frame, T=300, recomputed, CPU s",
        "sampled frame, T = 300, cached, CPU s": "frame, T=300, cached, CPU s",
        "... times cheaper": "frame, T=300, cache saves, times",
        "temporal transformer alone, times cheaper": "temporal part, T=300, cache saves, times",
    }
    lines = ["| | tiny | dmlab |", "|---|---:|---:|"]
    for name, key in rows.items():
        cells = " | ".join(f"{found[f'{config}: {key}']:.3g}" for config in ("tiny", "dmlab"))
        lines.append(f"| {name} | {cells} |")
    saved = found["tiny: DropLoss 0.9 at T=100 saves, times"]
    machine = content["machine"]["processor"]
    return [
        *lines, "",
        f"DropLoss 0.9 makes a training step of `tiny` at T = 100 {saved:.1f} times cheaper. "
        f"One thread; processor: {machine}.",
    ]  # fmt: skip


def tokenizer_table() -> list[str]:
    """Quality of the tokenizer of the present recipe."""
    content = json.loads((RESULTS / "tokenizer.json").read_text())
    found = content["results"]
    return [
        "| PSNR, dB | LPIPS (alex) | share of the codes used | perplexity | frames |",
        "|---:|---:|---:|---:|---:|",
        f"| {found['PSNR, dB']:.1f} | {found['LPIPS (alex)']:.3f} | "
        f"{found['share of the codes used']:.0%} | {found['perplexity']:.0f} of 1,024 | "
        f"{found['frames']:,.0f} |",
    ]


def ablation_table() -> list[str]:
    """A row per variant: mean over seeds, and half the spread where there are several."""
    content = json.loads((RESULTS / "ablations.json").read_text())
    results = content["results"]
    columns = list(next(iter(next(iter(results.values())).values())))

    def cell(column: str, seeds: dict[str, dict[str, float]]) -> str:
        values = [found[column] for found in seeds.values()]
        digits = 1 if column.startswith("PSNR") else 2 if column.startswith("CE") else 3
        text = f"{sum(values) / len(values):.{digits}f}"
        return text + f" ± {(max(values) - min(values)) / 2:.{digits}f}" * (len(values) > 1)

    lines = ["| variant | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for variant, seeds in results.items():
        lines.append(f"| {variant} | " + " | ".join(cell(c, seeds) for c in columns) + " |")
    count = len(next(iter(results.values())))
    return [*lines, "", f"{content['steps']} steps each, {count} seed{'s' * (count > 1)}."]


PAGES: dict[str, dict[str, Callable[[], list[str]]]] = {
    "README.md": {"results": readme_tables},
    "docs/environment.md": {"speed": environment_table},
    "docs/exporting.md": {"step": step_table, "drift": drift_table, "int8": int8_table},
    "docs/training-a-world.md": {"tokenizer": tokenizer_table},
    "docs/teco.md": {"cost": cost_table, "ablations": ablation_table},
}


def render(page: str, tables: dict[str, Callable[[], list[str]]]) -> str:
    """The text of a page with fresh tables between its markers."""
    for name, table in tables.items():
        begin = BEGIN.format(name=name)
        head, rest = page.split(begin)
        page = "\n".join([head + begin, *table(), END]) + rest.split(END, 1)[1]
    return page


if __name__ == "__main__":
    for path, tables in PAGES.items():
        Path(path).write_text(render(Path(path).read_text(), tables))
