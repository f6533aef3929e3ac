"""Collect films of several models and make a page that compares them blindly."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.blind.page import write_study
from worldmodel_env.evaluation.blind.trials import Study, make_trials
from worldmodel_env.evaluation.predictions import PredictionsFile
from worldmodel_env.evaluation.protocol import PREDICTION, Part, choose_episodes
from worldmodel_env.evaluation.samples import Sample, Source

LEAD = 12
"""Frames of the context that are shown before the imagined ones."""


def common_part(sources: Sequence[Source], context: int, horizon: int) -> Part:
    """What all are asked to predict: what the files hold, or else the lengths given.

    Raises:
        InputError: files predict from different contexts or under different rules.
    """
    parts = [
        part
        for source in sources
        if isinstance(source, PredictionsFile)
        for part in source.parts
        if part.name == PREDICTION
    ]
    files = [source for source in sources if isinstance(source, PredictionsFile)]
    if len(parts) < len(files):
        raise InputError(
            f"A predictions file has no group {PREDICTION!r}; blind comparison needs one in each."
        )
    if not parts:
        return Part(PREDICTION, context, horizon)
    told = {(part.context, part.actions) for part in parts}
    if len(told) > 1:
        raise InputError(
            f"The files predict from different contexts (frames, actions known): {sorted(told)}; "
            "compare files of one protocol."
        )
    return replace(parts[0], horizon=min(part.horizon for part in parts))


def common_episodes(
    sources: Sequence[Source], dataset: TrajectoryDataset, split: str, part: Part, episodes: int
) -> list[EpisodeRef]:
    """The first episodes that every file predicts.

    Raises:
        InputError: there is none.
    """
    known = choose_episodes(dataset, split, part.length, len(dataset.episodes(split)) or 1)
    files = [source for source in sources if isinstance(source, PredictionsFile)]
    refs = [ref for ref in known if all(ref.id in file.episodes for file in files)]
    if not refs:
        raise InputError(
            f"No {split} episode of {dataset.root} with {part.length} frames is in every file; "
            "predict the same episodes with each model."
        )
    return refs[:episodes]


def make_study(
    sources: Sequence[Source],
    dataset: TrajectoryDataset,
    refs: Sequence[EpisodeRef],
    part: Part,
    actions: Sequence[str],
    *,
    seed: int = 0,
) -> Study:
    """Predict, and arrange pairs.

    Args:
        sources: of predictions, each under its own name.
        dataset: of the true frames.
        refs: episodes.
        part: what is predicted from what.
        actions: what each discrete action is called; others are shown as numbers.
        seed: of order and sides.

    Raises:
        InputError: fewer than two models, or two of one name.
    """
    names = [source.name for source in sources]
    trials = make_trials(names, len(refs), seed=seed)
    clips = [dataset.read(ref, 0, part.length) for ref in refs]
    lead = min(LEAD, part.context)
    first = part.context - lead
    films: dict[str, list[NDArray[np.uint8]]] = {}
    for source in sources:
        films[source.name] = []
        for start in range(0, len(refs), source.batch):
            some = range(start, min(start + source.batch, len(refs)))
            frames = source.predict(
                part,
                [Sample(refs[i], _seed(source)) for i in some],
                np.stack([clips[i].observations for i in some]),
                np.stack([clips[i].actions for i in some]),
            )[:, : part.horizon]
            films[source.name] += [
                np.concatenate([clips[i].observations[first : part.context], film])
                for i, film in zip(some, frames, strict=True)
            ]
    told = [[_name(action, actions) for action in clip.actions[first:]] for clip in clips]
    return Study(lead, films, told, trials)


def compare_blindly(
    sources: Sequence[Source],
    dataset: TrajectoryDataset,
    out: Path,
    *,
    split: str = "test",
    context: int = 36,
    horizon: int = 60,
    episodes: int = 12,
    actions: Sequence[str] = (),
    seed: int = 0,
) -> tuple[Path, Path]:
    """Make the page; returns its path and the key's. The arguments are those of the parts above."""
    part = common_part(sources, context, horizon)
    refs = common_episodes(sources, dataset, split, part, episodes)
    return write_study(out, make_study(sources, dataset, refs, part, actions, seed=seed))


def _seed(source: Source) -> int:
    return source.seeds[0] if isinstance(source, PredictionsFile) else 0


def _name(action: NDArray, names: Sequence[str]) -> str:
    if np.ndim(action) == 0 and 0 <= int(action) < len(names):
        return names[int(action)]
    return f"action {' '.join(f'{value:g}' for value in np.atleast_1d(action))}"
