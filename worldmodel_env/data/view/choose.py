"""Which episodes to look at."""

from collections.abc import Sequence

import numpy as np

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError


def choose(
    dataset: TrajectoryDataset, split: str | None, count: int, seeds: Sequence[int] = ()
) -> list[EpisodeRef]:
    """Those of given seeds, or `count` evenly spread ones.

    Args:
        dataset: an open data set.
        split: train, validation or test; None for all.
        count: at most so many, at least 1.
        seeds: if any are given, these.

    Raises:
        InputError: there are no such episodes.
    """
    refs = dataset.episodes(split)
    if seeds:
        by_seed = {ref.seed: ref for ref in refs}
        missing = [seed for seed in seeds if seed not in by_seed]
        if missing:
            raise InputError(
                f"{dataset.root} has no episode of seed {missing[0]} there: files are named for "
                "their seeds"
            )
        return [by_seed[seed] for seed in seeds]
    if count < 1:
        raise InputError(f"--episodes is {count}: give 1 or more")
    if not refs:
        raise InputError(f"{dataset.root} has no {split} episodes: choose another split")
    numbers = np.unique(np.linspace(0, len(refs) - 1, min(count, len(refs))).round().astype(int))
    return [refs[number] for number in numbers]
