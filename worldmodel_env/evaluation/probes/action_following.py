"""Action following: can one tell from two imagined frames which action was taken between them?

Twice: by a small inverse-dynamics classifier trained on true frames, and, for actions that turn the
view, by the sideways shift of the picture, which needs no training.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.classifier import Classifier, train_classifier
from worldmodel_env.evaluation.probes.clips import Clips
from worldmodel_env.evaluation.probes.intervals import Estimate, pooled, ratio
from worldmodel_env.evaluation.probes.rollout import Rollout
from worldmodel_env.evaluation.probes.section import Row, line, section
from worldmodel_env.evaluation.probes.shift import image_shift
from worldmodel_env.evaluation.report import Chart, Section, Table

MOST_CLASSES = 64
_TURN = 3
"""Pixels of median shift from which on an action counts as a turn."""


@dataclass(frozen=True)
class InverseDynamics:
    """Reads actions off pairs of frames.

    Attributes:
        classifier: of two frames on top of each other.
        actions: (A, k) the action that each class stands for.
    """

    classifier: Classifier
    actions: NDArray[np.int64]

    @classmethod
    def learn(cls, clips: Clips, *, steps: int = 400, seed: int = 0) -> "InverseDynamics":
        """Train on every transition of true clips.

        Raises:
            InputError: actions are continuous, or there are more than 64 different ones.
        """
        taken = _rows(clips.actions)
        if not np.issubdtype(taken.dtype, np.integer):
            raise InputError(
                "Action following needs discrete actions, these are continuous; leave this probe "
                "out."
            )
        actions, labels = np.unique(taken, axis=0, return_inverse=True)
        if len(actions) > MOST_CLASSES:
            raise InputError(
                f"Action following got {len(actions)} different actions, at most {MOST_CLASSES} "
                "were expected; leave this probe out."
            )
        pairs = _pairs(clips.frames[:, :-1], clips.frames[:, 1:])
        return cls(train_classifier(pairs, labels.reshape(-1), steps=steps, seed=seed), actions)

    def read(self, film: NDArray[np.uint8]) -> NDArray[np.int64]:
        """The class of each transition of films (N, T+1, H, W, 3): (N, T)."""
        rows = [self.classifier.predict(_pairs(one[:-1], one[1:])) for one in film]
        return np.stack(rows)

    def classes(self, actions: NDArray) -> NDArray[np.int64]:
        """The class of each action (N, T) or (N, T, k): (N, T); -1 for one never seen."""
        same = (_rows(actions)[:, None] == self.actions[None]).all(-1)
        found = np.where(same.any(1), same.argmax(1), -1)
        return found.reshape(actions.shape[:2])


def probe_actions(rollout: Rollout, dynamics: InverseDynamics, *, seed: int = 0) -> Section:
    """Measure whether what was imagined shows the actions that were taken.

    Args:
        rollout: imagined from recordings that the classifier was not trained on.
        dynamics: trained on true frames.
        seed: of the bootstrap and of the exchange of actions that gives the level of chance.

    Raises:
        InputError: an action occurs that the classifier never saw.
    """
    first = rollout.context - 1
    actions = rollout.clips.actions[:, first:]
    wanted = dynamics.classes(actions)
    if (wanted < 0).any():
        raise InputError(
            "The recordings hold actions that the classifier's did not; train it on more episodes."
        )
    true, film = rollout.clips.frames[:, first:], rollout.film[:, first:]
    truth = dynamics.read(true) == wanted
    read = dynamics.read(film)
    right = read == wanted
    others = np.roll(np.random.default_rng(seed).permutation(len(wanted)), 1)
    by_luck = read == wanted[others] if len(wanted) > 1 else read != read
    groups = np.repeat(np.arange(len(wanted)), wanted.shape[1])
    weight = _balance(wanted).reshape(-1)

    def balanced(hits: NDArray[np.bool_]) -> NDArray[np.float64]:
        return hits.reshape(-1) * weight

    estimates = {
        name: ratio(balanced(hits), weight, groups, seed=seed)
        for name, hits in {"imagined": right, "true": truth, "luck": by_luck}.items()
    }
    plain = pooled(right.reshape(-1).astype(float), groups, seed=seed)
    rows = [
        Row(
            "actions recognised",
            plain,
            float(by_luck.mean()),
            float(truth.mean()),
            headline=True,
        ),
        Row(
            "actions recognised, each as often",
            estimates["imagined"],
            estimates["luck"].mean,
            estimates["true"].mean,
            headline=True,
        ),
        *_turns(true, film, actions, dynamics, seed),
    ]
    spans = buckets(wanted.shape[1])
    chart = Chart(
        "share of actions recognised",
        "frames ahead",
        tuple((low + high) / 2 for low, high in spans),
        (
            line("imagined", [_share(right[:, a - 1 : b], seed) for a, b in spans]),
            line("true frames (ceiling)", [_share(truth[:, a - 1 : b], seed) for a, b in spans]),
            line(
                "another walk's actions (chance)",
                [_share(by_luck[:, a - 1 : b], seed) for a, b in spans],
            ),
        ),
        "higher",
    )
    found = section(
        "Action following",
        "How often the action can be read off two consecutive imagined frames, for "
        f"{wanted.size} of them in {len(wanted)} walks, by a classifier trained on true frames of "
        "other walks; its own rate on held-out true frames is the ceiling, that of another walk's "
        "actions chance. And how turns move the picture, against true frames.",
        rows,
        charts=[chart],
        details={
            "context": rollout.context,
            "horizon": rollout.horizon,
            "episodes": len(wanted),
            "seed": seed,
        },
    )
    return replace(found, tables=(*found.tables, _confusion(wanted, read, dynamics.actions)))


def _turns(
    true: NDArray[np.uint8],
    film: NDArray[np.uint8],
    actions: NDArray,
    dynamics: InverseDynamics,
    seed: int,
) -> list[Row]:
    """Sign and size of the shift after each action that turns the view."""
    wanted = dynamics.classes(actions).reshape(-1)
    groups = np.repeat(np.arange(len(true)), true.shape[1] - 1)
    shift_true, shift_film = (
        np.concatenate([image_shift(one[:-1], one[1:]) for one in frames])
        for frames in (true, film)
    )
    rows = []
    for label, action in enumerate(dynamics.actions):
        taken = wanted == label
        if not taken.any() or abs(usual := float(np.median(shift_true[taken]))) < _TURN:
            continue
        name = " ".join(map(str, action))
        signs = [np.sign(shift[taken]) == np.sign(usual) for shift in (shift_film, shift_true)]
        sides = [pooled(sign.astype(float), groups[taken], seed=seed) for sign in signs]
        # Of those that turn the right way: a wrong way has no size.
        sizes = [
            float(np.median(shift[taken][sign])) / usual if sign.any() else float("nan")
            for shift, sign in zip((shift_film, shift_true), signs, strict=True)
        ]
        rows += [
            Row(
                f"action {name} turns the right way", sides[0], ceiling=sides[1].mean, headline=True
            ),
            Row(
                f"action {name}: size of the turn / true",
                Estimate(sizes[0], np.nan, np.nan, int(signs[0].sum())),
                ceiling=sizes[1],
                better="",
            ),
        ]
    return rows


def _pairs(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(..., H, W, 3) twice -> (E, H, W, 6)."""
    pairs = np.concatenate([before, after], -1)
    return pairs.reshape(-1, *pairs.shape[-3:])


def _rows(actions: NDArray) -> NDArray:
    """(N, T) or (N, T, k) -> (N*T, k)."""
    return actions.reshape(actions.shape[0] * actions.shape[1], -1)


def _balance(classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights (N, T) with which each class counts as much as the others."""
    _, index, count = np.unique(classes, return_inverse=True, return_counts=True)
    return (1 / count)[index].reshape(classes.shape)


def _share(hits: NDArray[np.bool_], seed: int) -> Estimate:
    groups = np.repeat(np.arange(len(hits)), hits.shape[1])
    return pooled(hits.reshape(-1).astype(float), groups, seed=seed)


def _confusion(wanted: NDArray, read: NDArray, actions: NDArray[np.int64]) -> Table:
    """Rows are actions taken, columns what was read off imagined frames; in shares of a row."""
    names = [" ".join(map(str, action)) for action in actions]
    flat = wanted.reshape(-1) * len(names) + read.reshape(-1)
    counts = np.bincount(flat, minlength=len(names) ** 2).reshape(len(names), len(names))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    rows = [(name, *np.round(row, 4).tolist()) for name, row in zip(names, shares, strict=True)]
    return Table("Action taken (rows), action read off imagined frames", ("", *names), tuple(rows))
