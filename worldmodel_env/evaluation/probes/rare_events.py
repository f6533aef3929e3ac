"""Rare events: are rewards and endings as frequent as in the simulator, and told when they come?"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.intervals import Estimate, ratio
from worldmodel_env.evaluation.probes.outcomes import Foretold, Outcomes
from worldmodel_env.evaluation.probes.section import Row, finite, section
from worldmodel_env.evaluation.report import Chart, Line, Section, Table

PER = 1000
"""Rates are per this many steps."""
EDGES = (0.0, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Of the bins of probability in the calibration."""


def probe_rare_events(outcomes: Outcomes, context: int, *, seed: int = 0) -> Section:
    """Compare foretold rewards and endings with recorded ones, at the same steps.

    Args:
        outcomes: from `foretell`.
        context: for the protocol.
        seed: of the bootstrap.

    Raises:
        InputError: no reward and no ending was recorded: there is nothing to compare with.
    """
    valid = outcomes.valid
    ends = outcomes.termination & valid
    paid = np.where(valid, outcomes.reward, 0.0)
    if not ends.any() and not paid.any():
        raise InputError(
            "Rare events need recordings with rewards or endings, and these have neither; use a "
            "data set of another task, such as `record --task goal`."
        )
    # The simulator's episodes ended where they ended; a dream must count only while it lasts.
    lasting = _survival(outcomes.dreaming, valid)
    exposure = {"one step ahead": valid.astype(float), "imagined": lasting}
    told = {"one step ahead": outcomes.watching, "imagined": outcomes.dreaming}
    rows: list[Row] = []
    for event, true in (("endings", ends.astype(float)), ("reward", paid)):
        if not true.any():
            continue
        real = _rate(true, valid.astype(float), seed)
        rows.append(Row(f"{event} per {PER} steps, simulator", real, better=""))
        for way, weight in exposure.items():
            foretold = told[way].termination if event == "endings" else told[way].reward
            name = f"{event} per {PER} steps, {way}"
            rows.append(Row(name, _rate(foretold, weight, seed), ceiling=real.mean, better=""))
            share = _against(foretold, weight, true, valid, seed)
            name = f"{event}, {way} / simulator"
            rows.append(Row(name, share, ceiling=1.0, better="", headline=True))
    table, chart = _calibration(outcomes.watching.termination[valid], ends[valid])
    if ends.any():
        rows.append(_skill(outcomes.watching.termination, ends, valid, seed))
    found = section(
        "Rare events",
        f"How often rewards and endings come in {int(valid.sum())} steps of {len(valid)} walks "
        f"({int(ends.sum())} endings) when the recorded actions are replayed, against the "
        "simulator at the same steps: one step ahead of true frames, and imagined from frame "
        f"{context} on, where a walk counts as long as it has not ended. And whether an ending "
        "foretold with probability p comes with frequency p.",
        rows,
        charts=[chart] if ends.any() else [],
        details={"context": context, "episodes": len(valid), "seed": seed},
    )
    return replace(found, tables=(*found.tables, table))


def _survival(told: Foretold, valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, T) probability that the dream has not ended before each step; 0 outside `valid`."""
    alive = np.cumprod(1 - np.where(valid, told.termination, 0.0), 1)
    before = np.concatenate([np.ones((len(alive), 1)), alive[:, :-1]], 1)
    return before * valid


def _rate(values: NDArray, weight: NDArray[np.float64], seed: int) -> Estimate:
    episodes = np.arange(len(values))
    return ratio(PER * (values * weight).sum(1), weight.sum(1), episodes, seed=seed)


def _against(
    foretold: NDArray,
    weight: NDArray[np.float64],
    true: NDArray[np.float64],
    valid: NDArray[np.bool_],
    seed: int,
) -> Estimate:
    """The foretold rate over the recorded one; both vary together with the episodes drawn."""
    exposure, steps = weight.sum(1), valid.sum(1)
    # rate / rate as one ratio of sums, with the exposures of all episodes as they are
    factor = steps.sum() / max(exposure.sum(), 1e-12)
    return ratio(factor * (foretold * weight).sum(1), true.sum(1), np.arange(len(true)), seed=seed)


def _calibration(
    probability: NDArray[np.float64], happened: NDArray[np.bool_]
) -> tuple[Table, Chart]:
    """Per bin of probability: the mean probability, the frequency, and how many steps."""
    index = np.clip(np.searchsorted(EDGES, probability, side="right") - 1, 0, len(EDGES) - 2)
    bins = [
        (float(probability[inside].mean()), float(happened[inside].mean()), int(inside.sum()))
        for i in range(len(EDGES) - 1)
        if (inside := index == i).any()
    ]
    columns = ("foretold", "happened", "steps")
    rows = tuple((finite(p), finite(f), n) for p, f, n in bins)
    x = tuple(p for p, _, _ in bins)
    lines = (Line("frequency", tuple(f for _, f, _ in bins)), Line("perfect", x))
    chart = Chart("endings that came", "probability foretold", x, lines)
    return Table("Endings, one step ahead: probability and frequency", columns, rows), chart


def _skill(
    probability: NDArray[np.float64],
    ends: NDArray[np.bool_],
    valid: NDArray[np.bool_],
    seed: int,
) -> Row:
    """1 - squared error / that of always telling the mean rate: 1 is perfect, 0 knows nothing."""
    mean = ends[valid].mean()
    error = np.where(valid, np.square(probability - ends), 0).sum(1)
    base = np.where(valid, np.square(mean - ends), 0).sum(1)
    lost = ratio(error, base, np.arange(len(ends)), seed=seed)
    skill = Estimate(1 - lost.mean, 1 - lost.high, 1 - lost.low, int(valid.sum()))
    return Row("endings told in time (Brier skill)", skill, 0.0, 1.0, headline=True)
