"""Themes: does a frame imagined far ahead still look like the quarter of the map it should be in?

In `SimMaze-v0` each quarter of a map has a hue of its own for walls and floor. A classifier learns
from true frames which quarter the agent stands in, and is then shown imagined ones.
"""

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.classifier import Classifier, train_classifier
from worldmodel_env.evaluation.probes.clips import Clips
from worldmodel_env.evaluation.probes.intervals import Estimate, pooled
from worldmodel_env.evaluation.probes.rollout import Rollout
from worldmodel_env.evaluation.probes.section import Row, line, section
from worldmodel_env.evaluation.report import Chart, Section

AT = 100
AROUND = 5
"""The share "at horizon 100" is over horizons 95 .. 105."""


def quadrants(clips: Clips, cell: float) -> NDArray[np.int64]:
    """Which quarter of its map the agent stands in: (N, L), 0 NW, 1 NE, 2 SW, 3 SE.

    Args:
        clips: with poses and layouts; row 0 of a layout is the north, x and y are counted from its
            south-west corner.
        cell: side of a cell in the pose's units.

    Raises:
        InputError: poses or layouts are not known.
    """
    if clips.pose is None or any(layout is None for layout in clips.layouts):
        raise InputError(
            "Themes need each episode's poses and layout, which these lack; leave this probe out, "
            "or record SimMaze-v0."
        )
    found = []
    for pose, layout in zip(clips.pose, clips.layouts, strict=True):
        assert layout is not None
        rows, columns = layout.shape
        row = rows - 1 - np.floor(pose[:, 1] / cell)
        column = np.floor(pose[:, 0] / cell)
        found.append(2 * (row > rows // 2) + (column > columns // 2))
    return np.stack(found).astype(np.int64)


def learn_themes(clips: Clips, cell: float, *, steps: int = 300, seed: int = 0) -> Classifier:
    """A classifier of true frames by the quarter they were taken in.

    Raises:
        InputError: poses or layouts are not known, or the frames are all of one quarter.
    """
    frames = clips.frames.reshape(-1, *clips.frames.shape[2:])
    return train_classifier(frames, quadrants(clips, cell).reshape(-1), steps=steps, seed=seed)


def probe_themes(
    rollout: Rollout, classifier: Classifier, cell: float, *, seed: int = 0
) -> Section:
    """Measure how often an imagined frame has the theme of where the agent would be.

    Args:
        rollout: of recordings that the classifier was not trained on.
        classifier: from `learn_themes`.
        cell: side of a cell in the pose's units.
        seed: of the bootstrap.

    Raises:
        InputError: poses or layouts are not known.
    """
    places = quadrants(rollout.clips, cell)
    last, wanted = places[:, rollout.context - 1], places[:, rollout.context :]
    read = np.stack([classifier.predict(film) for film in rollout.imagined])
    seen = np.stack([classifier.predict(film) for film in rollout.true])
    right, truth, stayed = read == wanted, seen == wanted, wanted == last[:, None]
    hits = {"imagined": right, "true frames (ceiling)": truth, "never changing (chance)": stayed}
    spans = buckets(rollout.horizon)
    chart = Chart(
        "share of frames with the right theme",
        "frames ahead",
        tuple((low + high) / 2 for low, high in spans),
        tuple(
            line(name, [_share(hit[:, low - 1 : high], seed) for low, high in spans])
            for name, hit in hits.items()
        ),
        "higher",
    )
    parts = {"all horizons": slice(None)}
    if rollout.horizon >= AT:
        parts = {f"at horizon {AT}": slice(AT - 1 - AROUND, AT + AROUND), **parts}
    rows = [
        Row(
            f"right theme, {name}",
            _share(right[:, part], seed),
            float(stayed[:, part].mean()),
            float(truth[:, part].mean()),
            headline=True,
        )
        for name, part in parts.items()
    ]
    if (moved := ~stayed).any():
        told = pooled(right[moved].astype(float), np.nonzero(moved)[0], seed=seed)
        name = "right theme, where it is not the context's last"
        rows.append(Row(name, told, 0.0, float(truth[moved].mean())))
    return section(
        "Themes",
        f"Share of imagined frames of {len(wanted)} walks whose theme is that of the quarter of "
        "the map in which the recorded agent stands, as a classifier trained on true frames sees "
        f"it. Horizon {AT} stands for {AT - AROUND} to {AT + AROUND}. Chance is a world in which "
        "the theme never changes.",
        rows,
        charts=[chart],
        details={
            "context": rollout.context,
            "horizon": rollout.horizon,
            "episodes": len(wanted),
            "seed": seed,
        },
    )


def _share(hits: NDArray[np.bool_], seed: int) -> Estimate:
    groups = np.repeat(np.arange(len(hits)), hits.shape[1])
    return pooled(hits.reshape(-1).astype(float), groups, seed=seed)
