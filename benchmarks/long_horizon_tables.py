"""Tables and figures of docs/results/long-horizon.md, from what long_horizon and mixers wrote.

Figures: `python -m benchmarks.long_horizon_tables`; the tables are written by `benchmarks.tables`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tyro

from worldmodel_env.evaluation.figure import FAINT, INK, new_figure, save_png

RESULTS = Path("benchmarks/results")
IMAGES = Path("docs/images/long-horizon")
NAMES = {
    "full": "full attention",
    "window": "window",
    "long window": "four times the window",
    "window + sink": "window and sink",
    "gated_delta": "window and Gated DeltaNet",
    "mamba2": "window and Mamba-2",
    "ttt_linear": "window and TTT-Linear",
    "ttt_mlp": "window and TTT-MLP",
    "recurrent": "Gated DeltaNet alone",
    "shipped": "the world that ships",
    "recorded": "recorded frames",
}
MATCHES = ("same maze", "other maze", "any frame")
"""What frames of long roll-outs are compared with (`benchmarks/exposure.py`)."""
COLOURS = ("#1f2430", "#d1742f", "#c9a227", "#3d5a9e", "#2a9d8f", "#8a4f9e", "#b3394a")

Seeds = dict[str, dict[str, float]]


def part(name: str) -> dict[str, Any]:
    """A part of the result file; without results if it was not measured."""
    path = RESULTS / "long_horizon.json"
    content = json.loads(path.read_text()) if path.exists() else {}
    return content.get(name, {"results": {}})


def spread(seeds: Seeds, key: str) -> tuple[float, float, float] | None:
    """Mean, lowest and highest over seeds; None if no seed has it."""
    values = [found[key] for found in seeds.values() if key in found]
    return (sum(values) / len(values), min(values), max(values)) if values else None


def cell(seeds: Seeds, key: str, digits: int = 2) -> str:
    """Mean, and half the spread where there are several seeds; empty without any."""
    if (found := spread(seeds, key)) is None:
        return ""
    mean, low, high = found
    half = f" ± {(high - low) / 2:.{digits}f}" if len(seeds) > 1 else ""
    return f"{mean:.{digits}f}{half}"


def _not_measured(name: str) -> list[str]:
    return [f"Not measured yet: `python -m benchmarks.long_horizon {name}`."]


def _rows(results: dict[str, Seeds], head: Sequence[str], keys: Sequence[str]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name, seeds in results.items():
        cells = [cell(seeds, key) for key in keys]
        if any(cells):
            lines.append(f"| {NAMES.get(name, name)} | {' | '.join(cells)} |")
    return lines


def _trainings(results: dict[str, Seeds]) -> str:
    counts = {len(seeds) for seeds in results.values()}
    if counts == {1}:
        return "One training each."
    number = "-".join(str(n) for n in sorted({min(counts), max(counts)}))
    return f"Mean and half the spread of {number} trainings."


def memory_table() -> list[str]:
    """Recall by lag and mixer."""
    found = part("memory")
    results = found["results"]
    if not results:
        return _not_measured("memory")
    lags = found["settings"]["lags"]
    head = ["recall, lag in frames", *map(str, lags), "parameters", "CPU s of training"]
    lines = _rows(results, head[:-2], [f"recall at {lag}" for lag in lags])
    lines[0] += f" {head[-2]} | {head[-1]} |"
    lines[1] += "---:|---:|"
    for i, seeds in enumerate(results.values()):
        first = next(iter(seeds.values()))
        lines[2 + i] += f" {first['parameters']:,} | {cell(seeds, 'CPU s of training', 0)} |"
    return [
        *lines, "",
        f"Chance is 1/24 = 0.04. {_trainings(results)}", "",
        "![Recall against lag, by mixer](../images/long-horizon/memory.png)",
    ]  # fmt: skip


def mixer_cost_table() -> list[str]:
    """What a frame and a state cost, from benchmarks/mixers.py."""
    path = RESULTS / "mixers.json"
    if not path.exists():
        return ["Not measured yet: `python -m benchmarks.mixers`."]
    content = json.loads(path.read_text())
    found = content["results"]
    ends = ", CPU ms"
    elapsed = sorted({int(k.split("frame ")[1].split(",")[0]) for k in found if k.endswith(ends)})
    head = [
        "", *(f"ms at {n:,}" for n in elapsed), f"{elapsed[-1]:,} over {elapsed[0]:,}",
        *(f"MB at {n:,}" for n in elapsed), "training step, s", "parameters, M",
    ]  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---|" + "---:|" * (len(head) - 1)]
    for name in (n for n in NAMES if f"{n}: parameters, M" in found):
        times = [found[f"{name}: frame {n}, CPU ms"] for n in elapsed]
        sizes = [found[f"{name}: frame {n}, state MB"] for n in elapsed]
        cells = [f"{x:.2f}" for x in times] + [f"{times[-1] / times[0]:.2f}"]
        cells += [f"{x:.2f}" for x in sizes]
        cells += [f"{found[f'{name}: training step, CPU s']:.2f}"]
        cells += [f"{found[f'{name}: parameters, M']:.2f}"]
        lines.append(f"| {NAMES[name]} | {' | '.join(cells)} |")
    machine = content["machine"]["processor"]
    return [*lines, "", f"CPU time of one thread; processor: {machine}."]


def exposure_table() -> list[str]:
    """Cross-entropy of the recorded frame after k imagined ones, by method."""
    results = part("exposure")["results"]
    if not results:
        return _not_measured("exposure")
    first = next(iter(next(iter(results.values())).values()))
    ks = [key.split()[2] for key in first if key.startswith("CE after")]
    head = ["cross-entropy, nats a code", "recorded past", *(f"after {k}" for k in ks)]
    keys = [f"CE instead of {ks[0]}", *(f"CE after {k} of its own" for k in ks)]
    return [
        *_rows(results, head, keys), "",
        f"{_trainings(results)} Of the world that ships: as many draws.", "",
        "![Exposure gap against the number of imagined frames, by method]"
        "(../images/long-horizon/exposure.png)",
    ]  # fmt: skip


def far_table() -> list[str]:
    """Distance of roll-outs to the best match in the same maze, by horizon and method."""
    results = part("exposure")["results"]
    buckets = sorted(
        {k.split(", ")[1] for s in results.values() for f in s.values() for k in f if "maze" in k},
        key=lambda b: int(b.split("-")[0]),
    )
    if not buckets:
        return _not_measured("exposure --walks DIR")
    lines = []
    for what in ("LPIPS", "codes"):
        head = [f"{what}, frames ahead"]
        head += [f"{bucket}: {where}" for bucket in buckets for where in MATCHES]
        keys = [f"{what}, {b}, {where}" for b in buckets for where in MATCHES]
        lines += [*_rows(results, head, keys), ""]
    head = ["share of the codes that change from frame to frame", *buckets]
    return [*lines, *_rows(results, head, [f"codes that change, {b}" for b in buckets])]


def passes_table() -> list[str]:
    """Quality of replayed episodes by the number of sampling passes."""
    results = part("passes")["results"]
    if not results:
        return _not_measured("passes")
    keys = list(next(iter(next(iter(results.values())).values())))
    return [*_rows(results, ["", *keys], keys), "", _trainings(results)]


TABLES: dict[str, Callable[[], list[str]]] = {
    "cost": mixer_cost_table,
    "memory": memory_table,
    "exposure": exposure_table,
    "far": far_table,
    "passes": passes_table,
}


def _curves(path: Path, xs: Sequence[int], curves: dict[str, list], title: str, x: str) -> None:
    """A line per name, with the band of its seeds; `curves` hold (mean, low, high) or None."""
    figure = new_figure(9.5, 4.2)
    axes = figure.subplots()
    for colour, (name, points) in zip(COLOURS, curves.items(), strict=False):
        at = [i for i, point in enumerate(points) if point is not None]
        mean, low, high = zip(*(points[i] for i in at), strict=True)
        places = [xs[i] for i in at]
        axes.plot(places, mean, linewidth=2, marker="o", markersize=3.5, color=colour, label=name)
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(xs, [str(value) for value in xs])
    axes.minorticks_off()
    axes.set_xlabel(x, fontsize=9, color=INK)
    axes.set_title(title, loc="left", fontsize=11, color=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.legend(
        frameon=False, fontsize=8, labelcolor=INK, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_png(figure, path)


def memory_figure(found: dict[str, Any]) -> None:
    """Recall against lag."""
    lags = found["settings"]["lags"]
    curves = {
        NAMES[mixer]: [spread(seeds, f"recall at {lag}") for lag in lags]
        for mixer, seeds in found["results"].items()
    }
    title = "Recall of a marked frame (chance: 0.04)"
    _curves(IMAGES / "memory.png", lags, curves, title, "lag, frames")


def exposure_figure(found: dict[str, Any]) -> None:
    """Exposure gap against imagined frames."""
    ks = found["settings"]["gaps"]

    def gap(seeds: Seeds, k: int) -> tuple[float, float, float] | None:
        gaps = {
            seed: {"gap": f[f"CE after {k} of its own"] - f[f"CE instead of {k}"]}
            for seed, f in seeds.items()
            if f"CE after {k} of its own" in f
        }
        return spread(gaps, "gap")

    curves = {
        NAMES.get(name, name): points
        for name, seeds in found["results"].items()
        if any(points := [gap(seeds, k) for k in ks])
    }
    title = "Exposure gap, nats a code"
    _curves(IMAGES / "exposure.png", ks, curves, title, "imagined frames before")


def main() -> None:
    """Draw what was measured."""
    for name, draw in {"memory": memory_figure, "exposure": exposure_figure}.items():
        if (found := part(name))["results"]:
            draw(found)


if __name__ == "__main__":
    tyro.cli(main)
