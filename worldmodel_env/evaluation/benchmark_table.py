"""The benchmark's table, models by metrics, and its figure."""

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worldmodel_env.evaluation.figure import FAINT, INK, new_figure, save_png

_CEILING = "tokenizer, simulator"
_DIGITS = {"PSNR": 2, "revisit PSNR": 2, "FVD": 0, "KVD": 2, "parameters, M": 2, "minutes": 1}
_UP = ("PSNR", "SSIM", "revisit PSNR")
_DOWN = ("LPIPS", "FVD", "KVD")
_PANELS = {"PSNR": "PSNR (dB) ↑", "SSIM": "SSIM ↑", "LPIPS": "LPIPS, alex ↓"}
_COLOURS = {
    "teco": "#3d5a9e", "recurrent_latent": "#2a9d8f", "space_time": "#8d5a97",
    "latent_diffusion": "#c8553d", "copy_last": "#8a8f9c",
}  # fmt: skip


def table(content: Mapping[str, Any]) -> list[list[str]]:
    """Rows of cells, the first being the header: mean ± standard deviation over seeds.

    Args:
        content: of benchmark.json.
    """
    results, ceiling = content["results"], content["ceiling"]
    values = {
        name: {seed: _values(scores) for seed, scores in seeds.items()}
        for name, seeds in results.items()
    }
    metrics = list(dict.fromkeys(m for seeds in values.values() for v in seeds.values() for m in v))
    sizes = ["steps", "parameters, M"] if content["plan"] else []
    rows = [["", *(_heading(m) for m in metrics), *sizes]]
    for name, seeds in values.items():
        plan = content["plan"].get(name)
        told = [""] * len(sizes)
        if plan is not None:
            told = [str(plan["steps"]), f"{plan['parameters'] / 1e6:.2f}"]
        cells = [_cell(m, [v.get(m) for v in seeds.values()]) for m in metrics]
        rows.append([name, *cells, *told])
    if ceiling:
        cells = [_cell(m, [ceiling[m]] if m in ceiling else []) for m in metrics]
        rows.append([_CEILING, *cells, *[""] * len(sizes)])
    return rows


def format_table(content: Mapping[str, Any]) -> str:
    """The table in Markdown, aligned."""
    rows = table(content)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def joined(row: list[str]) -> str:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join(
        "-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)
    )
    return "\n".join([joined(rows[0]), rule + "|", *(joined(row) for row in rows[1:])])


def draw_table(content: Mapping[str, Any], path: Path) -> None:
    """Draw quality against the horizon, a line per model with the range over its seeds.

    Args:
        content: of benchmark.json.
        path: the PNG.

    Raises:
        InputError: matplotlib is missing, or the file cannot be written.
    """
    figure = new_figure(11, 3.9)
    panels = figure.subplots(1, len(_PANELS))
    for axes, (metric, heading) in zip(panels, _PANELS.items(), strict=True):
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(colors=INK, labelsize=8, length=0)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_xlabel("frames ahead", fontsize=9, color=INK)
        axes.set_title(heading, loc="left", fontsize=11, color=INK)
        for name, seeds in content["results"].items():
            curves = [s["curves"][metric] for s in seeds.values() if metric in s["curves"]]
            if not curves:
                continue
            columns = list(zip(*curves, strict=True))
            x = range(1, len(columns) + 1)
            style = {"color": _COLOURS.get(name, INK)}
            dashes = (0, (5, 2)) if name == "copy_last" else "-"
            mean = [statistics.mean(c) for c in columns]
            axes.plot(x, mean, linewidth=2, label=name, linestyle=dashes, **style)
            low, high = [min(c) for c in columns], [max(c) for c in columns]
            axes.fill_between(x, low, high, alpha=0.15, linewidth=0, **style)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=max(1, len(labels)), frameon=False, fontsize=9,
        labelcolor=INK,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.07, 1, 1), w_pad=2.5)
    save_png(figure, path)


def _values(scores: Mapping[str, Any]) -> dict[str, float | None]:
    told = {"minutes": scores["minutes"]} if "minutes" in scores else {}
    return {**scores["values"], **told}


def _heading(metric: str) -> str:
    if metric in _UP:
        return f"{metric} ↑"
    return f"{metric} ↓" if any(word in metric for word in _DOWN) else metric


def _cell(metric: str, found: list[float | None]) -> str:
    if not (values := [value for value in found if value is not None]):
        return "-"
    digits = _DIGITS.get(metric, 3)
    mean = f"{statistics.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.{digits}f}"
