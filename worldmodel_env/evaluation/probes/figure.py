"""A section's charts as one PNG."""

from pathlib import Path
from typing import Any

import numpy as np

from worldmodel_env.evaluation.figure import FAINT, INK, new_figure, save_png
from worldmodel_env.evaluation.report import Chart, Section

_OWN, _CEILING, _CHANCE = "#3d5a9e", "#2a9d8f", "#d1742f"
_OTHERS = ("#8a5a9e", "#8d8f98", "#b23a48")
_WIDE = 3.0
"""An axis whose last value is this many times its middle one is drawn logarithmically."""


def draw_section(section: Section, path: Path) -> None:
    """Write the charts side by side.

    Args:
        section: with at least one chart.
        path: the PNG.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    charts = section.charts
    columns = len(charts) if len(charts) < 4 else 2 if len(charts) == 4 else 3
    rows = -(-len(charts) // columns)
    figure = new_figure(4.4 * columns, 3.2 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, chart in zip(panels[: len(charts)], charts, strict=True):
        _draw(axes, chart)
    for axes in panels[len(charts) :]:
        axes.set_visible(False)
    figure.suptitle(section.title, x=0.012, ha="left", fontsize=12, color=INK)
    figure.tight_layout(rect=(0, 0, 1, 0.98), w_pad=2.0, h_pad=2.0)
    save_png(figure, path)


def _draw(axes: Any, chart: Chart) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(chart.title, loc="left", fontsize=9, color=INK)
    axes.set_xlabel(chart.xlabel, fontsize=8, color=INK)
    x = np.array(chart.x, float)
    if len(x) > 3 and x[0] > 0 and x[-1] > _WIDE * x[len(x) // 2]:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    few = len(x) <= 16
    for i, curve in enumerate(chart.lines):
        colour = _colour(curve.name, i)
        values = _array(curve.mean)
        style = {"color": colour, "linewidth": 1.8, "label": curve.name}
        axes.plot(x, values, marker="o" if few else None, markersize=3.5, **style)
        if curve.low:
            axes.fill_between(
                x, _array(curve.low), _array(curve.high), color=colour, alpha=0.14, linewidth=0
            )
    axes.legend(frameon=False, fontsize=7, labelcolor=INK)


def _colour(name: str, index: int) -> str:
    """The same colour for the same role in every figure."""
    if name.endswith("(ceiling)") or name in ("recorded", "perfect"):
        return _CEILING
    if name.endswith("(chance)"):
        return _CHANCE
    return (_OWN, *_OTHERS)[min(index, len(_OTHERS))]


def _array(values: tuple[float | None, ...]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)
