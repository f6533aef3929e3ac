"""Between two worlds: weights averaged, where one was trained on from the other.

What a further training gains and what it unlearns can be weighed against each other: a model on
the way between the weights of before and after often keeps most of both (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models"). Nothing is trained for it; measure it like any other.
"""

from dataclasses import replace

import torch

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.training.begin_with import identity


def average(before: World, after: World, share: float = 0.5) -> World:
    """The world whose weights lie between those of two.

    Args:
        before: the world that a training began with.
        after: what it led to; name, starts, sampling and provenance are its own.
        share: of the way from `before` to `after`, 0 to 1.

    Raises:
        InputError: the share is out of range, or the worlds do not share tokenizer, architecture
            and spaces.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; give 0 (the first world) to 1 (the second).")
    mine, theirs = before.config, after.config
    if (mine.vqgan, mine.teco) != (theirs.vqgan, theirs.teco) or (
        before.action_space != after.action_space
    ):
        raise InputError(
            f"worlds {before.name!r} and {after.name!r} have other architectures or actions, so "
            "nothing lies between their weights; average a world with one trained on from it."
        )
    # Codes of one tokenizer mean nothing to the other's model.
    tokenizer = [k for k in before.weights if k.startswith("vqgan.")]
    if not all(torch.equal(before.weights[k], after.weights[k]) for k in tokenizer):
        raise InputError(
            f"worlds {before.name!r} and {after.name!r} have tokenizers of other weights; average "
            "a world with one that was trained on from it."
        )
    weights = {
        name: torch.lerp(old, after.weights[name], share) if old.is_floating_point() else
        after.weights[name]
        for name, old in before.weights.items()
    }  # fmt: skip
    between = {"averaged": {identity(before): round(1 - share, 4), identity(after): share}}
    return replace(
        after, weights=weights, provenance={**after.provenance, **between}, quality={}, digest=""
    )
