"""Novelty: how good is what can be remembered, and how good what must be made up?

A walk that explores soon shows views of which no frame told anything, and whoever imagines them
sharply is as far from the true one as from any other. So frames ahead are parted by whether their
view was among the context, and beside them stands the mean of the context's frames: a blur of
corridors that knows nothing of where the walk has got to, and that PSNR prefers to a wrong guess.
"""

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics import WeightsMissing, psnr
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.intervals import Estimate, pooled
from worldmodel_env.evaluation.probes.returns import Poses, Tolerance, distances
from worldmodel_env.evaluation.probes.rollout import Rollout
from worldmodel_env.evaluation.probes.section import Row, line, section
from worldmodel_env.evaluation.report import Chart, Section

AT = 25
AROUND = 2
"""What is told "at horizon 25" is over horizons 23 .. 27."""

UNITS = {"PSNR": "dB"}


def shown_before(pose: Poses, context: int, tolerance: Tolerance) -> NDArray[np.bool_]:
    """Which views after the context are among it.

    Args:
        pose: (N, L, 3) x, y, heading in degrees.
        context: C, at least 1.
        tolerance: what counts as the same view; `away` plays no part.

    Returns:
        (N, L-C) bool.
    """
    apart, turned = distances(pose[:, context:, None], pose[:, None, :context])
    return np.any((apart <= tolerance.distance) & (turned <= tolerance.angle), -1)


def probe_novelty(rollout: Rollout, tolerance: Tolerance, *, seed: int = 0) -> Section:
    """Measure imagined frames apart: views that the context shows, and new ones.

    Args:
        rollout: of recordings with poses and at least `AT` + `AROUND` imagined frames.
        tolerance: which poses are one view.
        seed: of the bootstrap.

    Raises:
        InputError: there are no poses, or the horizon is too short.
    """
    pose, last = rollout.clips.pose, AT + AROUND
    if pose is None:
        raise InputError(
            "Which views are new is told by poses, which these episodes do not have; record them "
            'with a simulator that gives info["pose"].'
        )
    if rollout.horizon < last:
        raise InputError(
            f"Novelty looks at horizon {AT}, and {rollout.horizon} frames were imagined; use a "
            f"horizon of at least {last}."
        )
    shown = shown_before(pose, rollout.context, tolerance)
    blur = _blur(rollout)
    decibels = {"imagined": psnr(rollout.true, rollout.imagined), "blur": psnr(rollout.true, blur)}
    parts = {"shown before": shown, "new views": ~shown}
    part = slice(AT - 1 - AROUND, last)
    rows = [Row(f"views shown before, at {AT}", _mean(shown[:, part], seed=seed), headline=True)]
    imagined, blank = ({"PSNR": decibels[name][:, part]} for name in ("imagined", "blur"))
    lpips, notes = _lpips()
    if lpips is not None:
        true = rollout.true[:, part]
        imagined["LPIPS"] = lpips.distance(true, rollout.imagined[:, part])
        blank["LPIPS"] = lpips.distance(true, blur[:, part])
    for metric, found in imagined.items():
        unit, mean = UNITS.get(metric, ""), _mean(blank[metric], seed=seed)
        told = f"{metric} at {AT}, mean of the context"
        rows.append(Row(told, mean, better="", headline=True, unit=unit))
        for name, where in {"all": np.ones_like(shown), **parts}.items():
            chosen = where[:, part]
            if chosen.any():
                rows.append(
                    Row(
                        f"{metric} at {AT}, {name}",
                        _mean(found, chosen, seed=seed),
                        float(blank[metric][chosen].mean()),
                        None,
                        "lower" if metric == "LPIPS" else "higher",
                        headline=True,
                        unit=unit,
                    )
                )
    return section(
        "Novelty",
        f"Imagined frames of {len(shown)} walks, apart: those whose view (position within "
        f"{tolerance.distance:g}, heading within {tolerance.angle:g} degrees) is among the "
        f"{rollout.context} frames of context, and those of which it shows nothing from there. "
        f"Horizon {AT} stands for {AT - AROUND} to {last}. Chance is the mean of the context's "
        "frames.",
        rows,
        charts=[_by_horizon(decibels, parts, seed)],
        notes=notes,
        details={
            "tolerance": vars(tolerance),
            "context": rollout.context,
            "horizon": rollout.horizon,
            "episodes": len(shown),
            "seed": seed,
        },
    )


def _blur(rollout: Rollout) -> NDArray[np.uint8]:
    """(N, K, H, W, 3): for every horizon the mean of the clip's context."""
    mean = rollout.clips.frames[:, : rollout.context].mean(1).round().astype(np.uint8)
    return np.broadcast_to(mean[:, None], rollout.true.shape)


def _lpips() -> tuple[Lpips | None, tuple[str, ...]]:
    try:
        return Lpips("alex"), ()
    except WeightsMissing as missing:
        return None, (f"LPIPS is not measured: {missing}",)


def _mean(values: NDArray, chosen: NDArray[np.bool_] | None = None, *, seed: int) -> Estimate:
    """Over the chosen of values (N, K), a row being an episode."""
    where = np.ones(values.shape, bool) if chosen is None else chosen
    return pooled(values[where].astype(np.float64), np.nonzero(where)[0], seed=seed)


def _by_horizon(
    decibels: dict[str, NDArray[np.float64]], parts: dict[str, NDArray[np.bool_]], seed: int
) -> Chart:
    spans = buckets(decibels["imagined"].shape[1])
    curves = {name: (decibels["imagined"], where) for name, where in parts.items()}
    curves["mean of the context, new views (chance)"] = decibels["blur"], parts["new views"]
    nothing = Estimate(np.nan, np.nan, np.nan, 0)
    lines = []
    for name, (values, where) in curves.items():
        pieces = [(values[:, a - 1 : b], where[:, a - 1 : b]) for a, b in spans]
        lines.append(
            line(name, [_mean(v, w, seed=seed) if w.any() else nothing for v, w in pieces])
        )
    middles = tuple((low + high) / 2 for low, high in spans)
    return Chart("PSNR, dB", "frames ahead", middles, tuple(lines), "higher")
