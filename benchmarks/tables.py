"""Write the tables of README and docs from benchmarks/results: `python -m benchmarks.tables`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from benchmarks import agent_tables, long_horizon_tables
from benchmarks.agent_tables import transfer_table
from benchmarks.recipes import PUBLISHED
from benchmarks.runtime_tables import browser_table, drift_table, int8_table, step_table
from worldmodel_env.evaluation.benchmark_table import format_table
from worldmodel_env.evaluation.benchmark_table import table as model_table

RESULTS = Path("benchmarks/results")
BEGIN = "<!-- {name}: written by `python -m benchmarks.tables` from benchmarks/results/*.json -->"
END = "<!-- end -->"
HORIZONS = (1, 5, 10, 25)
FAR = (50, 100, 156)


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


def dmlab_table() -> list[str]:
    """Quality of the shipped world `dmlab`."""
    return quality_table(json.loads((RESULTS / "dmlab.json").read_text()))


def baselines_table() -> list[str]:
    """TECO beside models of other families, from what `worldmodel benchmark` found."""
    content = measured("baselines")
    if content is None:
        return not_measured("Other models, trained for as long on the same recordings", "baselines")
    metrics = ("PSNR", "LPIPS", "revisit LPIPS", "seconds a frame")
    (head, *rows) = model_table(content)
    columns = [0, *(i for i, name in enumerate(head) if name.startswith(metrics))]
    lines = ["| " + " | ".join(row[i] for i in columns) + " |" for row in (head, *rows)]
    minutes = content["about"]["minutes"]
    title = f"Models trained for {minutes:.0f} minutes each ([how](docs/baselines.md)):"
    return [title, "", lines[0], "|---|" + "---:|" * (len(columns) - 1), *lines[1:]]


def contest_table(file: str) -> list[str]:
    """All columns of what `worldmodel benchmark` or `benchmarks.teco_variants` found."""
    return format_table(json.loads((RESULTS / f"{file}.json").read_text())).splitlines()


def measured(name: str) -> dict[str, Any] | None:
    """The content of a result file, if there is one."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def not_measured(what: str, page: str) -> list[str]:
    """In the place of a table."""
    return [f"{what} ([how](docs/{page}.md)): not measured yet."]


def speed_table() -> list[str]:
    """The simulator beside the world, on one core."""
    lines = ["| on one CPU core | |", "|---|---:|"]
    machines = set()
    for name, (file, key, unit) in SPEEDS.items():
        content = json.loads((RESULTS / f"{file}.json").read_text())
        machines.add(content["machine"]["processor"])
        value = content["results"][key]
        lines.append(f"| {name} | {value:,.{0 if value >= 10 else 1}f} {unit} |")
    return [*lines, "", f"Processor: {', '.join(sorted(machines))}."]


SPEEDS = {
    "`SimMaze-v0`, a step": ("simulator", "goal: stepping, observations/s", "frames/s"),
    "`SimMaze-v0`, recorded and compressed": (
        "recording", "recording, 1 core, frames/s", "frames/s",
    ),
    "`TecoMaze-v0`, one world": ("environment", "one, auto, frames/s", "frames/s"),
    "`TecoMaze-v0`, 16 worlds in one batch": ("environment", "16, auto, frames/s", "frames/s"),
    "`TecoMaze-v0`, reset": ("environment", "reset, ms", "ms"),
}  # fmt: skip
"""What -> (result file, key in it, unit)."""


def readme_tables() -> list[str]:
    """Quality, speed and transfer: the shipped world, baselines, the simulator."""
    report = json.loads((RESULTS / "maze.json").read_text())
    parts = (quality_table(report), baselines_table(), speed_table(), transfer_table())
    return "\n\n".join("\n".join(part) for part in parts).splitlines()


def simulator_table() -> list[str]:
    """`SimMaze-v0` by task."""
    content = json.loads((RESULTS / "simulator.json").read_text())
    found = content["results"]
    rows = {
        "stepping, frames/s": "stepping, observations/s",
        "with the walker `explore` and resets, frames/s": "playing, observations/s",
        "reset, ms": "reset, mean ms",
    }
    lines = ["| | `goal` | `explore` |", "|---|---:|---:|"]
    for name, key in rows.items():
        one, other = (found[f"{task}: {key}"] for task in ("goal", "explore"))
        digits = 0 if one >= 100 else 1
        lines.append(f"| {name} | {one:,.{digits}f} | {other:,.{digits}f} |")
    machine = content["machine"]["processor"]
    return [*lines, "", f"Simulator and engine together on one core; processor: {machine}."]


def data_table() -> list[str]:
    """Recording and reading."""
    content = json.loads((RESULTS / "recording.json").read_text())
    found = content["results"]
    rows = {
        "recorded by one worker, simulator and compression included, frames/s":
            "recording, 1 core, frames/s",
        "by two workers on two cores, times as many": "recording, 2 workers over 1",
        "bytes a frame, of 12,288": "bytes per frame of 12288",
        "random clips of 16 frames, frames a CPU second": "clips of 16, single files, frames/CPU-s",
        "random clips of 64 frames, frames a CPU second": "clips of 64, single files, frames/CPU-s",
        "opening 2,000 episodes, s": "opening 2000 episodes, s",
        "... after they were copied, s": "opening 2000 episodes, caches stale, s",
    }  # fmt: skip
    lines = ["| `SimMaze-v0`, 64 x 64 | |", "|---|---:|"]
    for name, key in rows.items():
        lines.append(f"| {name} | {found[key]:,.{0 if found[key] >= 10 else 1}f} |")
    return [*lines, "", f"Processor: {content['machine']['processor']}."]


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
    looks = ("sharpness", "code usage", "movement")
    tenths = [found[f"roll-out: tenths with {look} in the data's range"] for look in looks]
    return [
        *lines, "",
        f"First frame, with all cores: {found['first frame, torch imported, s']:.1f} s after "
        f"`make` where torch is imported, {found['first frame, cold, s']:.1f} s in a new process. "
        "All else on one core. Of "
        f"{found['roll-out: steps']:,.0f} steps in one episode the last tenth took "
        f"{found['roll-out: memory, last tenth over first']:.3f} times the memory of the first; "
        "stepped in turn with a new episode at the end, it took "
        f"{found['roll-out: CPU time of a frame, over that of a new episode']:.2f} times its time. "
        "Frames were as sharp, as varied and moved as much as recordings do in "
        f"{tenths[0]:.0f}, {tenths[1]:.0f} and {tenths[2]:.0f} tenths. Default backend with the "
        f"world exported; processor: {machine}.",
    ]  # fmt: skip


def probes_table() -> list[str]:
    """What image metrics do not see of the shipped world."""
    content = measured("probes")
    if content is None:
        return ["Not measured yet: `python -m benchmarks.probes`."]
    about, found = content["about"], content["results"]
    frames = found["frames"]
    horizons = [h for h in (*HORIZONS, *FAR) if f"psnr at {h}, world" in frames]
    lines = [
        f"{about['context']} true frames, then {about['horizon']} imagined ones; test mazes of "
        "size 9:",
        "",
        "| frames ahead | " + " | ".join(map(str, horizons)) + " |",
        "|---|" + "---:|" * len(horizons),
    ]
    series = {"world": "imagined", "copy_last": "last frame copied"}
    for metric, unit, digits in (("psnr", "PSNR, dB", 1), ("lpips", "LPIPS (alex)", 3)):
        for key, name in series.items():
            values = [frames[f"{metric} at {h}, {key}"]["value"] for h in horizons]
            cells = " | ".join(f"{value:.{digits}f}" for value in values)
            lines.append(f"| {unit}: {name} | {cells} |")
    lines += ["", "| probe | found | 95 % interval |", "|---|---:|---|"]
    for part, numbers in found.items():
        for name, number in numbers.items() if part != "frames" else ():
            value, low, high = (number[key] for key in ("value", "low", "high"))
            between = "" if low is None else f"{low:.3g} to {high:.3g}"
            lines.append(f"| {name} | {value:.3g} | {between} |")
    return lines


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


PEAK = 989e12
"""Of an H100 (SXM), dense bf16 FLOP/s."""
REACHED = 0.35
"""Assumed share of it."""
PRICE = 2.5
"""Assumed, in US dollars for an hour of one."""
TOKENIZER_STEPS, STEPS = 200_000, 1_000_000


def recipe_table() -> list[str]:
    """Hours of the published configurations, computed from counted operations."""
    found = json.loads((RESULTS / "recipes.json").read_text())["results"]

    def hours(gflop: float) -> float:
        return gflop * 1e9 / (PEAK * REACHED) / 3600

    lines = [
        "| preset | GFLOP a frame | tokenizer, 1 GPU | world model, 1 GPU | both, 8 GPUs | 64 GPUs "
        "| US dollars |",
        "|---|" + "---:|" * 6,
    ]
    minutes = []
    for name in PUBLISHED:
        of = {k.removeprefix(f"{name}: "): v for k, v in found.items() if k.startswith(name)}
        first, second = (of[f"{m}, GFLOP a trained frame"] for m in ("tokenizer", "world model"))
        tokenizer = hours(first * of["frames per step"] * TOKENIZER_STEPS)
        world = hours(second * of["frames per clip"] * of["clips per step"] * STEPS)
        minutes.append(60 * hours(of["tokenizer, GFLOP an encoded frame"] * 1e6))
        both = tokenizer + world
        lines.append(
            f"| `{name}` | {second:.0f} | {tokenizer:.1f} h | {world:.0f} h | {both / 8:.0f} h | "
            f"{both / 64:.1f} h | {both * PRICE:,.0f} |"
        )
    return [
        *lines, "",
        f"Computed, not measured: {TOKENIZER_STEPS:,} steps of the tokenizer, {STEPS:,} of the "
        f"world model, at {REACHED:.0%} of an H100's {PEAK / 1e12:.0f} TFLOP/s in bf16, as if any "
        f"number of GPUs reached that share, at an assumed {PRICE} dollars for an hour of one. The "
        "operations are those of the world model, forward and backward. Encoding a million frames "
        f"once takes {min(minutes):.0f} to {max(minutes):.0f} minutes in the same way.",
    ]  # fmt: skip


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
    "docs/simmaze.md": {"speed": simulator_table},
    "docs/trajectory-format.md": {"speed": data_table},
    "docs/environment.md": {"speed": environment_table},
    "docs/exporting.md": {
        "browser": browser_table,
        "step": step_table,
        "drift": drift_table,
        "int8": int8_table,
    },
    "docs/agents.md": agent_tables.TABLES,
    "docs/recipes.md": {"hours": recipe_table},
    "docs/results/long-horizon.md": long_horizon_tables.TABLES,
    "docs/baselines.md": {
        "contest": lambda: contest_table("baselines"),
        "variants": lambda: contest_table("teco_variants"),
    },
    "docs/training-a-world.md": {
        "tokenizer": tokenizer_table,
        "probes": probes_table,
        "dmlab": dmlab_table,
    },
    "docs/teco.md": {"cost": cost_table, "ablations": ablation_table},
}


def render(page: str, tables: dict[str, Callable[[], list[str]]]) -> str:
    """The text of a page with fresh tables between its markers."""
    for name, table in tables.items():
        begin = BEGIN.format(name=name)
        head, rest = page.split(begin)
        page = "\n".join([head + begin, *table(), END]) + rest.split(END, 1)[1]
    return page


def main() -> None:
    """Write all tables anew."""
    for path, tables in PAGES.items():
        Path(path).write_text(render(Path(path).read_text(), tables))


if __name__ == "__main__":
    tyro.cli(main)
