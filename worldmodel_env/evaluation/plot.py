"""The curves of a horizon report as one PNG."""

from pathlib import Path
from typing import Any

from worldmodel_env.evaluation.figure import FAINT, INK, new_figure, save_png
from worldmodel_env.evaluation.horizon import COPY_LAST, TOKENIZER, WORLD, HorizonReport

_STYLE: dict[str, dict[str, Any]] = {
    TOKENIZER: {"color": "#2a9d8f", "label": "tokenizer alone (ceiling)", "linestyle": (0, (1, 1))},
    WORLD: {"color": "#3d5a9e", "label": "imagined by the world"},
    COPY_LAST: {"color": "#d1742f", "label": "last frame copied", "linestyle": (0, (5, 2))},
}
_TITLES = {"psnr": "PSNR (dB) ↑", "ssim": "SSIM ↑", "lpips": "LPIPS, alex ↓"}


def plot_horizons(report: HorizonReport, path: Path, title: str = "") -> None:
    """Write PSNR, SSIM and LPIPS against the horizon, with their confidence bands.

    Args:
        report: what to draw; a metric it lacks leaves its panel empty but for that word.
        path: the PNG.
        title: above the panels; the number of episodes is added.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(11, 3.7)
    panels = figure.subplots(1, 3)
    for axes, (metric, heading) in zip(panels, _TITLES.items(), strict=True):
        _draw(axes, report, metric)
        axes.set_title(heading, loc="left", fontsize=11, color=INK)
    figure.suptitle(
        " · ".join(filter(None, (title, f"{report.episodes} episodes, 95 % intervals"))),
        x=0.012, ha="left", fontsize=10, color=INK,
    )  # fmt: skip
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper right", ncols=len(labels), frameon=False, fontsize=9,
        bbox_to_anchor=(0.995, 1.01), labelcolor=INK,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.98), w_pad=2.5)
    save_png(figure, path)


def _draw(axes: Any, report: HorizonReport, metric: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8, length=0)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel("frames ahead", fontsize=9, color=INK)
    axes.set_xlim(1, max(2, report.horizons[-1]))
    axes.xaxis.get_major_locator().set_params(integer=True)
    if metric in report.unavailable:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=INK)
        return
    for series, style in _STYLE.items():
        if series not in report.curves:
            continue
        curve = report.curves[series][metric]
        marker = "o" if len(report.horizons) == 1 else None
        axes.plot(report.horizons, curve.mean, linewidth=2, marker=marker, **style)
        axes.fill_between(
            report.horizons, curve.low, curve.high, color=style["color"], alpha=0.15, linewidth=0
        )
