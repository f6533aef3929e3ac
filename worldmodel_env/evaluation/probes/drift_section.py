"""What the drift probe reports."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.evaluation.probes.buckets import buckets
from worldmodel_env.evaluation.probes.drift_measure import Measured
from worldmodel_env.evaluation.probes.frame_measures import entropy
from worldmodel_env.evaluation.probes.intervals import Estimate, pooled
from worldmodel_env.evaluation.probes.section import Row, finite, line, section
from worldmodel_env.evaluation.report import Chart, Line, Section

_TITLES = {
    "sharpness": "sharpness (mean absolute Laplacian)",
    "motion": "motion (mean absolute difference)",
    "frozen": "share of frames that stand still",
    "own": "distance to the nearest frame of the same map",
    "other": "distance to the nearest frame of other maps",
    "recognised": "share nearer to the same map than to others",
}


def drift_section(
    imagined: Measured, recorded: Measured, protocol: Mapping[str, Any], *, seed: int = 0
) -> Section:
    """Set measures of imagined frames beside those of recorded ones, by horizon.

    Args:
        imagined: (N, K) measures.
        recorded: (M, T) measures of recorded frames, and the counts of their codes in as many
            frames as each of `imagined`'s buckets has.
        protocol: what is needed to do it again.
        seed: of the bootstrap.
    """
    horizon = imagined.values["motion"].shape[1]
    spans = buckets(horizon)
    middles = tuple((low + high) / 2 for low, high in spans)
    rows: list[Row] = []
    charts: list[Chart] = []
    for name, title in _TITLES.items():
        real = _mean(recorded.values[name], seed)
        told = [_mean(imagined.values[name][:, low - 1 : high], seed) for low, high in spans]
        chance = 0.5 if name == "recognised" else None
        rows += [
            Row(f"{title}, {low}-{high}", value, chance, real.mean, "", headline=name in _SHORT)
            for (low, high), value in zip(spans[-1:], told[-1:], strict=True)
        ]
        charts.append(
            Chart(
                title,
                "frames ahead",
                middles,
                (line("imagined", told), line("recorded", [real] * len(spans))),
            )
        )
    if imagined.counts is not None and recorded.counts is not None:
        bits = [_bits(m.counts) for m in (imagined, recorded)]
        lines = tuple(Line(name, b) for name, b in zip(("imagined", "recorded"), bits, strict=True))
        charts.append(Chart("entropy of the codes (bits)", "frames ahead", middles, lines))
        low, high = spans[-1]
        count = int(imagined.counts[-1].sum())
        told_bits = Estimate(bits[0][-1] or 0.0, np.nan, np.nan, count)
        rows.append(
            Row(f"entropy of the codes (bits), {low}-{high}", told_bits, None, bits[1][-1], "")
        )
    return section(
        "Drift",
        f"What becomes of {len(imagined.values['motion'])} walks imagined for {horizon} frames; no "
        "true frames are needed. The ceiling is the same measure of recorded frames. Distances are "
        "between small pictures; the nearest frame is sought among equally many of the same map "
        "and of others, none of them of the same moment.",
        rows,
        charts=charts,
        details=dict(protocol),
    )


_SHORT = ("sharpness", "motion", "recognised")


def _mean(values: NDArray[np.float64], seed: int) -> Estimate:
    groups = np.repeat(np.arange(len(values)), values.shape[1])
    return pooled(values.reshape(-1), groups, seed=seed)


def _bits(counts: NDArray[np.int64] | None) -> tuple[float | None, ...]:
    assert counts is not None
    return tuple(finite(entropy(row)) for row in counts)
