"""The drift of several backends as one PNG."""

from pathlib import Path

from exporters.drift import Drift
from worldmodel_env.evaluation.figure import FAINT, INK, new_figure, save_png

COLOURS = ("#3d5a9e", "#2a9d8f", "#d1742f", "#8e44ad", "#c0392b", "#7f8c8d")
PANELS = (
    ("forced", "codes", "equal codes, teacher-forced"),
    ("forced", "psnr", "PSNR (dB), teacher-forced"),
    ("free", "codes", "equal codes, left alone"),
    ("free", "psnr", "PSNR (dB), left alone"),
)


def plot_drift(drifts: dict[str, Drift], path: Path) -> None:
    """Write agreement with torch in float32 against the number of steps.

    Args:
        drifts: backend -> its curves.
        path: the PNG.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    figure = new_figure(13, 3.6)
    panels = figure.subplots(1, len(PANELS))
    for axes, (run, kind, heading) in zip(panels, PANELS, strict=True):
        for (name, drift), colour in zip(drifts.items(), COLOURS, strict=False):
            curve = getattr(getattr(drift, run), kind)
            axes.plot(range(1, 1 + len(curve)), curve, color=colour, linewidth=1.4, label=name)
        axes.set_title(heading, loc="left", fontsize=10, color=INK)
        axes.set_xlabel("steps", fontsize=9, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(FAINT)
        axes.tick_params(colors=INK, labelsize=8, length=0)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=9,
        labelcolor=INK,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0.08, 1, 1), w_pad=2)
    save_png(figure, path)
