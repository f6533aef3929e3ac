"""Trainings of a world one after another, drawn: `python -m benchmarks.curves RUN [RUN ...]`.

What was measured on held-out clips while each training went on, from its `teco/metrics.jsonl`. A
training has the clips of its own recordings: where these changed, the curves jump.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import FAINT, new_figure, save_png

ENTROPIES = {"ce_prior": "z from the prior", "ce_null": "no z", "ce_posterior": "true z"}
HORIZONS = {f"psnr_at_{h}": f"{h} ahead" for h in (1, 5, 10, 25)}
COLOURS = ("#1f2430", "#d1742f", "#2a9d8f", "#7a5ea8")


def main(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional],
    first: int = 1,
    out: Path = Path("docs/images/maze/training.png"),
) -> None:
    """Draw cross-entropies and PSNR against the steps of all trainings.

    Args:
        runs: folders of trainings, in their order.
        first: number of the first of them, where earlier ones are not shown.
        out: a PNG.

    Raises:
        InputError: a folder has no log, or one without an evaluation.
    """
    figure = new_figure(9.0, 3.8)
    axes = figure.subplots(1, 2)
    begin = 0
    for number, run in enumerate(runs, first):
        points = evaluations(run)
        steps = [begin + point["step"] for point in points]
        for axis, curves in zip(axes, (ENTROPIES, HORIZONS), strict=True):
            for (name, label), colour in zip(curves.items(), COLOURS, strict=False):
                axis.plot(
                    steps, [point[name] for point in points], "o-", color=colour, markersize=3,
                    label=label if number == first else None,
                )  # fmt: skip
            axis.axvline(begin, color=FAINT)
            axis.text(begin, 1.02, f" {number}", transform=axis.get_xaxis_transform())
        begin = steps[-1]
    for axis, label in zip(axes, ("cross-entropy, nats a code", "PSNR, dB"), strict=True):
        axis.set(xlabel="steps; above, the number of the training", ylabel=label)
        axis.grid(axis="y", color=FAINT)
        axis.legend(
            frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.2),
            handlelength=1, columnspacing=1, fontsize="small",
        )  # fmt: skip
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(figure, out)


def evaluations(run: Path) -> Sequence[dict[str, Any]]:
    """The lines of a training's log that hold an evaluation with roll-outs.

    Raises:
        InputError: there are none.
    """
    log = run / "teco" / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    points = [point for point in map(json.loads, lines) if {*ENTROPIES, *HORIZONS} <= point.keys()]
    if not points:
        raise InputError(
            f"{log} has no evaluation; give the folder of a training that came to its first one."
        )
    return points


if __name__ == "__main__":
    tyro.cli(main)
