"""The section on whole films: FVD and KVD, beside what the true films of other episodes get."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.evaluation.features import floor_episodes, true_features
from worldmodel_env.evaluation.measure import FEATURES, Result
from worldmodel_env.evaluation.metrics.i3d import FEATURES as N_FEATURES
from worldmodel_env.evaluation.metrics.i3d import MIN_FRAMES, I3d
from worldmodel_env.evaluation.metrics.video import VideoDistance, video_distance
from worldmodel_env.evaluation.protocol import Part
from worldmodel_env.evaluation.report import Number, Section, Table
from worldmodel_env.evaluation.samples import Sample

_DECIMALS = 4


def film_section(
    model: str,
    part: Part,
    dataset: TrajectoryDataset,
    samples: Sequence[Sample],
    results: Sequence[Result],
    network: I3d | None,
    unavailable: Mapping[str, str],
    *,
    group: int,
) -> Section:
    """Compare the predicted films with the true ones of the same episodes.

    Args:
        model: its name.
        part: what was predicted from what.
        dataset: of the true films.
        samples: as measured, seed by seed, each with the same episodes.
        results: of each sample, with `features`.
        network: what gave them; None if its weights are missing.
        unavailable: metric -> why it is missing.
        group: episodes of a group: each distance is between so many true and so many predicted
            films, and the reported one is the mean over groups.
    """
    seeds = sorted({sample.seed for sample in samples})
    refs = [sample.ref for sample in samples[: len(samples) // len(seeds)]]
    each = min(group, len(refs))
    reasons = _why_not(part, each, unavailable)
    if network is None or reasons:
        nothing = {name: Number(None, better="lower") for name in ("FVD", "KVD")}
        return Section("Whole films", _text(part, each, 0), nothing, notes=tuple(reasons))
    others = floor_episodes(dataset, refs[:each], part.length)
    true = dict(_features(network, dataset, [*refs, *others], part.length))
    groups: list[VideoDistance] = []
    for offset in range(0, len(samples), len(refs)):
        for start in range(0, len(refs) - each + 1, each):
            chosen = range(start, start + each)
            groups.append(
                video_distance(
                    np.stack([true[refs[i].id] for i in chosen]),
                    np.stack([results[offset + i][FEATURES] for i in chosen]),
                )
            )
    notes = []
    if each <= N_FEATURES:
        notes.append(
            f"{each} films of each kind for {N_FEATURES} features: too few for FVD's covariances "
            "to be of full rank, and FVD is biased upwards by hundreds. Read it beside the floor "
            "only; KVD has no such bias."
        )
    floor = None
    if len(others) < each:
        notes.append(
            f"No floor: the data set has only {len(others)} other episodes of {part.length} "
            f"frames, where {each} were needed."
        )
    else:
        first, second = ([true[r.id] for r in rs] for rs in (refs[:each], others))
        floor = video_distance(np.stack(first), np.stack(second))
    splits = sorted({ref.split for ref in others})
    fvd, kvd = ([getattr(g, name) for g in groups] for name in ("fvd", "kvd"))
    # Wherever the number goes, its sizes go with it.
    size = f"({each} films, {part.length} frames)"
    floor_row = (
        f"true films of {each} other episodes ({', '.join(splits)})",
        None if floor is None else round(floor.fvd, _DECIMALS),
        None if floor is None else round(floor.kvd, _DECIMALS),
        each,
        part.length,
    )
    return Section(
        title="Whole films",
        text=_text(part, each, len(groups)),
        numbers={
            "FVD": _number(fvd, size),
            "FVD of true films": Number(floor_row[1], unit=size),
            "KVD": _number(kvd, size),
        },
        tables=(
            Table(
                "Distance from the true films",
                ("", "FVD ↓", "KVD ↓", "films", "frames"),
                ((model, _mean(fvd), _mean(kvd), each, part.length), floor_row),
            ),
        ),
        notes=tuple(notes),
        details={
            "context": part.context,
            "horizon": part.horizon,
            "actions": part.actions,
            "films": each,
            "frames": part.length,
            "features": "I3D, Kinetics-400 (TF-Hub), 400 logits, 224x224 bilinear",
            "groups": {"FVD": _list(fvd), "KVD": _list(kvd)},
            "floor": {"FVD": floor_row[1], "KVD": floor_row[2], "splits": splits},
            "fewer_films_than_features": each <= N_FEATURES,
            "episodes": [ref.id for ref in refs],
            "seeds": seeds,
        },
    )


def _why_not(part: Part, films: int, unavailable: Mapping[str, str]) -> list[str]:
    reasons = [f"{name.upper()}: {why}" for name, why in unavailable.items() if name == "fvd"]
    if part.length < MIN_FRAMES:
        reasons.append(f"FVD needs films of {MIN_FRAMES} frames; these have {part.length}.")
    if films < 2:
        reasons.append(f"FVD needs 2 films and more; there is {films}.")
    return reasons


def _features(
    network: I3d, dataset: TrajectoryDataset, refs: Sequence[EpisodeRef], frames: int
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    for ref in tqdm(refs, desc="true films", unit="clip", disable=None):
        yield ref.id, true_features(network, dataset, ref, frames)


def _text(part: Part, films: int, groups: int) -> str:
    told = "with the recorded actions" if part.actions else "without actions"
    several = f", mean over {groups} groups" if groups > 1 else ""
    return (
        f"{part.context} true frames and {part.horizon} predicted {told}, taken together as films "
        f"of {part.length} frames; {films} predicted films against the {films} true ones{several}. "
        "The floor is the distance between the true films and as many true films of other "
        "episodes, what mere chance in choosing episodes makes of it; a model that continues the "
        "same episodes well may fall below. Distances over other numbers of films or frames are "
        "not comparable."
    )


def _number(values: Sequence[float], size: str) -> Number:
    std = round(float(np.std(values, ddof=1)), _DECIMALS) if len(values) > 1 else None
    return Number(_mean(values), std=std, unit=size, better="lower")


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), _DECIMALS)


def _list(values: Sequence[float]) -> list[float]:
    return [round(float(value), _DECIMALS) for value in values]
