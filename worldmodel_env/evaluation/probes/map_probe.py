"""Map probe: is the map in the world's memory, where a linear map can read it?

The question of the Memory Maze benchmark (Pasukonis et al. 2022, arXiv 2210.13383), which reads
layouts with a small network; a linear map finds less, and cannot make up what is not there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.intervals import Estimate, pooled
from worldmodel_env.evaluation.probes.linear_probe import LinearProbe, fit_probe
from worldmodel_env.evaluation.probes.map_targets import MapTargets
from worldmodel_env.evaluation.probes.section import Better, Row, line, section
from worldmodel_env.evaluation.probes.temporal_state import Traces
from worldmodel_env.evaluation.report import Chart, Section

EVERY = 4
"""Frames between those that are fitted; neighbours are nearly alike."""
SURE = 0.05
"""Cells that are wall, or free, in all but this share of maps are not asked for."""
WALLS = ("layout", "ahead", "behind")
_NAMES = {
    "layout": "cells of the layout right",
    "ahead": "walls in view right",
    "behind": "walls at the back right",
}


@dataclass(frozen=True)
class MapProbes:
    """Linear probes of one kind of features.

    Attributes:
        probes: target -> its probe.
        usual: target -> the most frequent or mean value in the fitted episodes, (M,).
    """

    probes: dict[str, LinearProbe]
    usual: dict[str, NDArray[np.float64]]


def fit_map(features: NDArray[np.float32], targets: MapTargets, places: NDArray) -> MapProbes:
    """Fit a probe per target.

    Args:
        features: (N, L-1, D), entry t about frame t+1.
        targets: of the same episodes, L frames.
        places: (N,) the map of each episode.
    """
    picked = features[:, ::EVERY]
    flat = picked.reshape(-1, picked.shape[-1])
    groups = np.repeat(places, picked.shape[1])
    wanted = {
        name: values[:, ::EVERY].reshape(len(flat), -1)
        for name, values in _targets(targets, features.shape[1]).items()
    }
    return MapProbes(
        probes={name: fit_probe(flat, values, groups) for name, values in wanted.items()},
        usual={name: values.mean(0) for name, values in wanted.items()},
    )


def probe_map(
    traces: dict[str, Traces],
    targets: MapTargets,
    places: NDArray[np.int64],
    memory: MapProbes,
    glance: MapProbes,
    context: int,
    *,
    seed: int = 0,
) -> Section:
    """Measure what the probes read in episodes on maps they were not fitted on.

    Args:
        traces: how the world came to its state -> features: "observed", all frames true, and
            "imagined", only those of the context.
        targets: of the same episodes.
        places: (N,) their maps.
        memory: probes of the temporal state, fitted on observed frames.
        glance: probes of the last frame alone.
        context: true frames that came before the imagined ones; only later frames are measured.
        seed: of the bootstrap.
    """
    rows: list[Row] = []
    charts: list[Chart] = []
    for way, found in traces.items():
        for target in (*WALLS, "position"):
            wanted = _targets(targets, found.memory.shape[1])[target]
            usual = memory.usual[target]
            scores = {
                "memory": _compare(_read(memory.probes[target], found.memory), wanted, usual),
                "glance": _compare(_read(glance.probes[target], found.glance), wanted, usual),
                "chance": _compare(np.broadcast_to(usual, wanted.shape), wanted, usual),
            }
            late = {
                name: _pooled(score[:, context - 1 :], places, seed)
                for name, score in scores.items()
            }
            rows += _rows(way, target, late)
            charts.append(_chart(way, target, scores, places, seed))
    return section(
        "Map probe",
        "What a linear map reads from the temporal state about maps that it was not fitted on, in "
        f"frames {context} and later of {len(places)} walks: walls (share right) and the agent's "
        "place (distance in cells). Observed: every frame is true; imagined: those up to there. "
        "One look reads the last frame and the action alone; chance says what is usual.",
        rows,
        charts=charts,
        details={"context": context, "episodes": len(places), "every": EVERY, "seed": seed},
    )


def _rows(way: str, target: str, told: dict[str, Estimate]) -> list[Row]:
    chance = told["chance"].mean
    if target == "position":
        name = f"place, {way}: off by (cells)"
        return [
            Row(name, told["memory"], chance, 0.0, "lower", headline=True),
            Row(f"{name}, one look", told["glance"], chance, 0.0, "lower"),
        ]
    name = f"{_NAMES[target]}, {way}"
    return [
        Row(name, told["memory"], chance, 1.0, headline=target == "layout"),
        Row(f"{name}, one look", told["glance"], chance, 1.0),
    ]


def _chart(
    way: str, target: str, scores: dict[str, NDArray[np.float64]], places: NDArray, seed: int
) -> Chart:
    spans = buckets(scores["memory"].shape[1])
    labels = {"memory": "temporal state", "glance": "one look", "chance": "what is usual (chance)"}
    lines = [
        line(label, [_pooled(scores[name][:, low - 1 : high], places, seed) for low, high in spans])
        for name, label in labels.items()
    ]
    middles = tuple((low + high) / 2 for low, high in spans)
    title = "place: off by (cells)" if target == "position" else _NAMES[target]
    better: Better = "lower" if target == "position" else "higher"
    return Chart(f"{title}, {way}", "frames since the start", middles, tuple(lines), better)


def _targets(targets: MapTargets, length: int) -> dict[str, NDArray[np.float64]]:
    """Target -> (N, length, M): of the frames 1 .. length, of which entry t tells frame t+1."""
    shape = (len(targets.layout), length, targets.layout.shape[1])
    return {
        "layout": np.broadcast_to(targets.layout[:, None], shape).astype(np.float64),
        "ahead": targets.ahead[:, 1 : length + 1].astype(np.float64),
        "behind": targets.behind[:, 1 : length + 1].astype(np.float64),
        "position": targets.position[:, 1 : length + 1],
    }


def _read(probe: LinearProbe, features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, T, D) -> (N, T, M)."""
    return probe(features.reshape(-1, features.shape[-1])).reshape(*features.shape[:2], -1)


def _compare(said: NDArray, wanted: NDArray[np.float64], usual: NDArray) -> NDArray[np.float64]:
    """Share right, or, of the two coordinates of a place, the distance; per frame: (N, T)."""
    if wanted.shape[-1] == 2:
        return np.hypot(*np.moveaxis(said - wanted, -1, 0))
    # Cells that are nearly always the same would only dilute what the others say.
    open_question = (usual > SURE) & (usual < 1 - SURE)
    right = (said > 0.5) == (wanted > 0.5)
    return right[..., open_question if open_question.any() else slice(None)].mean(-1)


def _pooled(score: NDArray[np.float64], places: NDArray[np.int64], seed: int) -> Estimate:
    return pooled(score.reshape(-1), np.repeat(places, score.shape[1]), seed=seed)
