"""Which clips are shown against each other, and on which side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Trial:
    """One pair on the page.

    Attributes:
        name: what votes call it; says nothing about the models.
        episode: index of the episode that both continue.
        left: the model on the left.
        right: the model on the right.
    """

    name: str
    episode: int
    left: str
    right: str


def make_trials(models: Sequence[str], episodes: int, *, seed: int = 0) -> list[Trial]:
    """Every pair of models on every episode, in random order, on random but balanced sides.

    Args:
        models: two or more different names.
        episodes: how many there are.
        seed: of order and sides.

    Raises:
        InputError: fewer than two models, or equal names.
    """
    if len(models) < 2 or len(set(models)) < len(models):
        raise InputError(
            f"A comparison got the models {list(models)}, where two or more with different names "
            "were expected: rename one."
        )
    rng = np.random.default_rng(seed)
    found: list[tuple[int, str, str]] = []
    for a, b in combinations(models, 2):
        sides = rng.permutation(episodes) % 2 == 0
        found += [(e, a, b) if sides[e] else (e, b, a) for e in range(episodes)]
    order = rng.permutation(len(found))
    return [Trial(f"pair-{i + 1}", *found[j]) for i, j in enumerate(order)]


@dataclass(frozen=True)
class Study:
    """All that a page shows.

    Attributes:
        lead: true frames at the beginning of every film.
        films: model -> per episode its film (lead+K, H, W, 3) uint8.
        actions: per episode, for each frame but the first, what was done before it.
        trials: the pairs.
    """

    lead: int
    films: Mapping[str, Sequence[NDArray[np.uint8]]]
    actions: Sequence[Sequence[str]]
    trials: Sequence[Trial]
