"""The section on predicted frames: PSNR, SSIM and LPIPS, by how far ahead they lie."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.evaluation.bootstrap import mean_interval
from worldmodel_env.evaluation.horizon import COPY_LAST, METRICS, TOKENIZER
from worldmodel_env.evaluation.measure import IDENTICAL, MODEL, Result
from worldmodel_env.evaluation.metrics import PSNR_CAP
from worldmodel_env.evaluation.protocol import Part
from worldmodel_env.evaluation.report import Chart, Line, Number, Section, Table
from worldmodel_env.evaluation.samples import Sample

NAMES = {COPY_LAST: "last frame copied", TOKENIZER: "its tokenizer alone"}
TITLES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS"}
UNITS = {"psnr": "dB", "ssim": "", "lpips": ""}
BETTER = {"psnr": "higher", "ssim": "higher", "lpips": "lower"}
HORIZONS = (1, 2, 5, 10, 25, 50, 100, 156, 200, 264)
DECIMALS = 6


def prediction_section(
    model: str,
    part: Part,
    samples: Sequence[Sample],
    results: Sequence[Result],
    unavailable: Mapping[str, str],
    *,
    group: int,
    seed: int = 0,
) -> Section:
    """Sum up what `measure_part` found frame by frame.

    Args:
        model: its name.
        part: what was predicted from what.
        samples: as measured, seed by seed, each with the same episodes.
        results: of each sample.
        unavailable: metric -> why it is missing.
        group: episodes of a group, over which the standard deviation is taken.
        seed: of the bootstrap.
    """
    seeds = sorted({sample.seed for sample in samples})
    episodes = len(samples) // len(seeds)
    names = {MODEL: model, **NAMES}
    series = [MODEL]  # a model that is itself one of the references is not shown twice
    series += [s for s in NAMES if f"psnr.{s}" in results[0] and NAMES[s] != model]
    values = {
        (metric, s): np.stack([r[f"{metric}.{s}"] for r in results]).reshape(
            len(seeds), episodes, part.horizon
        )
        for metric in METRICS
        for s in series
        if f"{metric}.{s}" in results[0]
    }
    same = {s: int(sum(r[f"{IDENTICAL}.{s}"].sum() for r in results)) for s in series}
    notes = [f"{TITLES[metric]}: {why}" for metric, why in unavailable.items() if metric in TITLES]
    if same[MODEL]:
        notes.append(
            f"{same[MODEL]} predicted frames equal the true one in every byte; each counts "
            f"{PSNR_CAP:g} dB."
        )
    if len(seeds) > 1 and np.ptp(values["psnr", MODEL], 0).max() == 0:
        notes.append("All seeds gave the same predictions: this model leaves nothing to chance.")
    charts = []
    for metric in METRICS:
        lines = [_line(names[s], values[metric, s], seed) for s in series if (metric, s) in values]
        if lines:
            unit = f" ({UNITS[metric]})" if UNITS[metric] else ""
            charts.append(
                Chart(
                    f"{TITLES[metric]}{unit}",
                    "frames ahead",
                    tuple(range(1, part.horizon + 1)),
                    tuple(lines),
                    BETTER[metric],  # type: ignore[arg-type]
                )
            )
    return Section(
        title="Predicted frames",
        text=_text(part, episodes, len(seeds)),
        numbers={
            TITLES[metric]: _number(values.get((metric, MODEL)), metric, group, seed)
            for metric in METRICS
        },
        charts=tuple(charts),
        tables=(_means(values, series, names), _by_horizon(values, series, names, part.horizon)),
        notes=tuple(notes),
        details={
            "context": part.context,
            "horizon": part.horizon,
            "actions": part.actions,
            "episodes": [sample.ref.id for sample in samples[:episodes]],
            "seeds": seeds,
            "group": group,
            "groups": {
                f"{metric}.{s}": [round(float(g.mean()), DECIMALS) for g in _groups(v, group)]
                for (metric, s), v in values.items()
            },
            "by_seed": {
                f"{metric}.{s}": np.round(v.mean((1, 2)), DECIMALS).tolist()
                for (metric, s), v in values.items()
            },
            "identical_frames": {names[s]: count for s, count in same.items()},
            "frames_of_a_series": len(samples) * part.horizon,
        },
    )


def _text(part: Part, episodes: int, seeds: int) -> str:
    told = "the recorded actions replayed" if part.actions else "no actions given"
    several = f", {seeds} seeds each" if seeds > 1 else ""
    return (
        f"{part.context} true frames, then {part.horizon} predicted ones with {told}; "
        f"{episodes} episodes{several}. Each value is the mean over frames of one prediction per "
        "episode and seed, never the best of several. Bands and brackets: 95 %, bootstrap over "
        "episodes."
    )


def _number(values: NDArray | None, metric: str, group: int, seed: int) -> Number:
    unit, better = UNITS[metric], BETTER[metric]
    if values is None:
        return Number(None, unit=unit, better=better)  # type: ignore[arg-type]
    interval = mean_interval(values.mean((0, 2)), seed=seed)
    means = [part.mean() for part in _groups(values, group)]
    return Number(
        value=_rounded(interval.mean),
        low=_rounded(interval.low),
        high=_rounded(interval.high),
        std=_rounded(np.std(means, ddof=1)) if len(means) > 1 else None,
        unit=unit,
        better=better,  # type: ignore[arg-type]
    )


def _groups(values: NDArray, size: int) -> list[NDArray]:
    """Groups of `size` episodes of each seed, or all if there are fewer; a rest is left out."""
    seeds, episodes = values.shape[:2]
    starts = range(0, max(episodes - size, 0) + 1, size)
    return [values[s, start : start + size] for s in range(seeds) for start in starts]


def _line(name: str, values: NDArray, seed: int) -> Line:
    interval = mean_interval(values.mean(0), seed=seed)
    ends = (interval.mean, interval.low, interval.high)
    return Line(name, *(tuple(np.round(end, DECIMALS).tolist()) for end in ends))


def _means(
    values: Mapping[tuple[str, str], NDArray], series: Sequence[str], names: Mapping[str, str]
) -> Table:
    columns = [f"{TITLES[m]} {'↑' if BETTER[m] == 'higher' else '↓'}" for m in METRICS]
    rows = [(names[s], *(_mean(values.get((metric, s))) for metric in METRICS)) for s in series]
    return Table("Mean over all horizons", ("", *columns), tuple(rows))


def _by_horizon(
    values: Mapping[tuple[str, str], NDArray],
    series: Sequence[str],
    names: Mapping[str, str],
    horizon: int,
) -> Table:
    shown = [h for h in HORIZONS if h <= horizon]
    rows = [
        (f"{TITLES[metric]}, {names[s]}", *(_mean(values[metric, s][..., h - 1]) for h in shown))
        for metric in METRICS
        for s in series
        if (metric, s) in values
    ]
    columns = ("frames ahead", *(str(h) for h in shown))
    return Table("By horizon", columns, tuple(rows))


def _mean(values: NDArray | None) -> float | None:
    return None if values is None else _rounded(values.mean())


def _rounded(value: float | NDArray) -> float:
    return round(float(value), DECIMALS)
