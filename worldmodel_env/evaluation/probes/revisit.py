"""Revisit consistency: back at a pose, does the world show what was there before?

At each return the imagined frame is compared with the frame of the first visit: a true one if that
visit lay in the context (`remembered`), the imagined one if not (`own`, self-consistency). Beside
it stand the simulator's own two frames (ceiling) and frames of elsewhere (chance).
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics import WeightsMissing, psnr
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.probes.intervals import Estimate, pooled, ratio
from worldmodel_env.evaluation.probes.returns import Returns, Tolerance, distances, find_returns
from worldmodel_env.evaluation.probes.rollout import Rollout
from worldmodel_env.evaluation.probes.section import Better, Row, line, section
from worldmodel_env.evaluation.report import Chart, Section

LAGS = (8, 20, 35, 50, 75, 100, 150, 300)
"""Edges of the lag's buckets, in frames."""
ENOUGH = 500
"""Events from which on an interval is worth quoting."""
ELSEWHERE = 8.0
"""A frame is of elsewhere if its pose is this many tolerances away, or turned round, or half of
each."""

Metric = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float64]]
_LABELS = {
    "imagined": "imagined",
    "simulator": "simulator (ceiling)",
    "elsewhere": "imagined, frame of elsewhere (chance)",
}


def probe_revisits(rollout: Rollout, tolerance: Tolerance, *, seed: int = 0) -> Section:
    """Measure what a predictor shows when the agent comes back.

    Args:
        rollout: of recordings with poses in which the agent comes back, such as out-and-back ones.
        tolerance: which poses are one.
        seed: of the choice of frames of other places, and of the bootstrap.

    Raises:
        InputError: there are no poses, or no return lies in the imagined part.
    """
    clips = rollout.clips
    if clips.pose is None:
        raise InputError(
            "Revisits are found from poses, which these episodes do not have; record them with a "
            'simulator that gives info["pose"].'
        )
    found = find_returns(clips.pose, tolerance)
    events = found.where(found.now >= rollout.context)
    if not len(events):
        raise InputError(
            f"No pose is seen again in the {rollout.horizon} imagined frames of {len(clips)} "
            "episodes; record some with `--policy out-and-back`, or raise the tolerance."
        )
    rows: list[Row] = []
    charts: list[Chart] = []
    rng = np.random.default_rng(seed)
    remembered = events.then < rollout.context
    for kind, chosen in (("remembered", remembered), ("own", ~remembered)):
        some = events.where(chosen)
        if not len(some):
            continue
        pairs = _pairs(rollout, some, tolerance, rng)
        for metric, measure in _metrics().items():
            values = {name: measure(*frames) for name, frames in pairs.items()}
            rows += _rows(kind, metric, values, some, seed)
            charts.append(_by_lag(kind, metric, values, some, seed))
    return section(
        "Revisit consistency",
        f"At {len(events)} returns of {len(clips)} walks to a pose first seen k frames earlier and "
        "not since, the frame imagined is compared with the frame of the first visit: with a true "
        f"one if that visit was among the {rollout.context} frames of context (remembered), with "
        "the imagined one if not (own). The ceiling is the simulator's own two frames, chance a "
        "frame of another place of the same map. Closeness is 0 at chance and 1 at the ceiling.",
        rows,
        charts=charts,
        notes=()
        if len(events) >= ENOUGH
        else (f"Only {len(events)} events; {ENOUGH} are asked for.",),
        details={
            "events": len(events),
            "tolerance": vars(tolerance),
            "lags": list(LAGS),
            "context": rollout.context,
            "horizon": rollout.horizon,
            "episodes": len(clips),
            "seed": seed,
        },
    )


def _metrics() -> dict[str, Metric]:
    try:
        return {"lpips": Lpips("alex").distance, "psnr": psnr}
    except WeightsMissing:
        return {"psnr": psnr}


def _pairs(
    rollout: Rollout, events: Returns, tolerance: Tolerance, rng: np.random.Generator
) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """What is compared at each event: name -> two arrays of frames (E, H, W, 3)."""
    true, film = rollout.clips.frames, rollout.film
    e, then, now = events.episode, events.then, events.now
    # Frames of elsewhere are of the same kind as the first visit's: true ones for true ones.
    remembered = then < rollout.context
    source = np.where(remembered, 0, rollout.context)
    stop = np.where(remembered, rollout.context, rollout.clips.length)
    other = _elsewhere(rollout, events, source, stop, tolerance, rng)
    shown = film[e, now]
    pairs = {
        "imagined": (shown, film[e, then]),
        "simulator": (true[e, now], true[e, then]),
        "elsewhere": (shown, film[e, other]),
        "lost": (true[e, now], true[e, other]),
    }
    if len(np.unique(rollout.clips.places)) > 1:
        stranger, moment = _other_map(rollout, e, source, stop, rng)
        pairs["other_map"] = (shown, film[stranger, moment])
    return pairs


def _elsewhere(
    rollout: Rollout,
    events: Returns,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    tolerance: Tolerance,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """(E,) a frame of the same episode in start .. stop-1 that shows another place."""
    pose = rollout.clips.pose
    assert pose is not None
    picked = np.empty(len(events), np.int64)
    for i, (episode, now) in enumerate(zip(events.episode, events.now, strict=True)):
        apart, turned = distances(pose[episode], pose[episode, now])
        far = apart / (ELSEWHERE * tolerance.distance) + turned / 180
        inside = np.arange(start[i], stop[i])
        away = inside[far[inside] >= 1]
        picked[i] = rng.choice(away) if len(away) else inside[far[inside].argmax()]
    return picked


def _other_map(
    rollout: Rollout,
    episode: NDArray[np.int64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per event an episode on another map, and a frame of it."""
    places = rollout.clips.places
    choices = {p: np.flatnonzero(places != p) for p in np.unique(places)}
    strangers = [int(rng.choice(choices[places[e]])) for e in episode]
    return np.array(strangers, np.int64), rng.integers(start, stop)


def _rows(
    kind: str, metric: str, values: dict[str, NDArray], events: Returns, seed: int
) -> list[Row]:
    means = {name: pooled(value, events.episode, seed=seed) for name, value in values.items()}
    chance, ceiling = means["elsewhere"].mean, means["simulator"].mean
    name = f"{metric.upper()}, {kind}"
    better: Better = "lower" if metric == "lpips" else "higher"
    unit = "dB" if metric == "psnr" else ""
    rows = [Row(name, means["imagined"], chance, ceiling, better, headline=True, unit=unit)]
    if metric == "lpips":
        rows.append(
            Row(f"closeness, {kind}", _closeness(values, events, seed), 0, 1, headline=True)
        )
    others = {"lost": "true frame beside elsewhere", "other_map": "imagined beside other maps"}
    rows += [Row(f"{name}: {others[n]}", means[n], better="") for n in others if n in means]
    return rows


def _closeness(values: dict[str, NDArray], events: Returns, seed: int) -> Estimate:
    """(chance - imagined) / (chance - ceiling): 0 at chance, 1 where the simulator is."""
    gained = values["elsewhere"] - values["imagined"]
    possible = values["elsewhere"] - values["simulator"]
    return ratio(gained, possible, events.episode, seed=seed)


def _by_lag(
    kind: str, metric: str, values: dict[str, NDArray], events: Returns, seed: int
) -> Chart:
    masks = [(events.lag >= low) & (events.lag < high) for low, high in pairwise(LAGS)]
    held = [mask for mask in masks if mask.any()]
    middles = tuple(float(np.median(events.lag[mask])) for mask in held)
    lines = tuple(
        line(label, [pooled(values[n][m], events.episode[m], seed=seed) for m in held])
        for n, label in _LABELS.items()
    )
    if metric == "psnr":  # identical frames have no finite one
        lines = tuple(curve for curve in lines if curve.name != _LABELS["simulator"])
    title = f"{metric.upper()}, {kind}" + (" (dB)" if metric == "psnr" else "")
    better: Better = "lower" if metric == "lpips" else "higher"
    return Chart(title, "frames since the first visit", middles, lines, better)
