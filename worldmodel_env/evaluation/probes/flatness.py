"""Flatness: once the first frames are past, does quality go on falling?"""

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.probes.intervals import pooled, ratio
from worldmodel_env.evaluation.probes.rollout import Rollout
from worldmodel_env.evaluation.probes.section import Row, line, section
from worldmodel_env.evaluation.report import Chart, Section

FROM = 20
"""The horizon from which on the curve should be flat."""
SPAN = 10
"""Horizons that are taken together."""
EVERY = 2
"""Of the frames in a span, LPIPS looks at every second."""


def probe_flatness(rollout: Rollout, *, seed: int = 0) -> Section:
    """Measure how much LPIPS to the true frames changes beyond horizon 20.

    Args:
        rollout: of at least 40 imagined frames.
        seed: of the bootstrap and of the choice of unrelated frames.

    Raises:
        InputError: the horizon is too short, or LPIPS has no weights here.
    """
    if rollout.horizon < FROM + 2 * SPAN:
        raise InputError(
            f"Flatness looks at horizons {FROM} and later, and only {rollout.horizon} frames were "
            f"imagined; use a horizon of at least {FROM + 2 * SPAN}."
        )
    lpips = Lpips("alex")
    spans = [(a, a + SPAN) for a in range(0, rollout.horizon - SPAN + 1, SPAN)]
    values = [_distance(lpips, rollout.true, rollout.imagined, span) for span in spans]
    order = np.roll(np.random.default_rng(seed).permutation(len(rollout.true)), 1)
    others = [_distance(lpips, rollout.true[order], rollout.imagined, span) for span in spans]
    late = [i for i, (low, _) in enumerate(spans) if low >= FROM]
    first = values[late[0]]
    groups = np.repeat(np.arange(len(first)), first.shape[1])
    changes = [ratio(values[i].reshape(-1), first.reshape(-1), groups, seed=seed) for i in late[1:]]
    most = max(changes, key=lambda change: abs(change.mean - 1))
    chance = float(np.mean(others))
    rows = [
        Row(
            f"LPIPS at {spans[late[0]][0]}, first late span",
            pooled(first.reshape(-1), groups, seed=seed),
            chance,
            0.0,
            "lower",
        ),
        Row(
            "LPIPS, last span",
            pooled(values[-1].reshape(-1), groups, seed=seed),
            chance,
            0.0,
            "lower",
        ),
        Row("LPIPS, farthest span / first late one", most, better="", headline=True),
    ]
    curves = {"imagined": values, "another walk's true frames (chance)": others}
    chart = Chart(
        "LPIPS to the true frames",
        "frames ahead",
        tuple((low + high + 1) / 2 for low, high in spans),
        tuple(
            line(name, [pooled(v.reshape(-1), groups, seed=seed) for v in curve])
            for name, curve in curves.items()
        ),
        "lower",
    )
    return section(
        "Flatness",
        f"LPIPS to the true frames in spans of {SPAN} horizons. Farthest / first late: the span "
        f"beyond horizon {FROM} whose LPIPS differs most from that of the first such span; 1 is "
        "flat. A world that is entirely lost by then is flat too: look at chance.",
        rows,
        charts=[chart],
        details={
            "context": rollout.context,
            "horizon": rollout.horizon,
            "episodes": len(first),
            "seed": seed,
        },
    )


def _distance(
    lpips: Lpips, a: NDArray[np.uint8], b: NDArray[np.uint8], span: tuple[int, int]
) -> NDArray[np.float64]:
    """(N, SPAN / EVERY) distances at some horizons of a span."""
    picked = slice(*span, EVERY)
    return lpips.distance(a[:, picked], b[:, picked])
