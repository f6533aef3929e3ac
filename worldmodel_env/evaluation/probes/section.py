"""A probe's numbers, each beside chance and ceiling, as a section of the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from worldmodel_env.evaluation.probes.intervals import Estimate
from worldmodel_env.evaluation.report import Chart, Line, Number, Section, Table

Better = Literal["higher", "lower", ""]
COLUMNS = ("", "value", "95 % low", "95 % high", "chance", "ceiling", "n")


@dataclass(frozen=True)
class Row:
    """One number of a probe.

    Attributes:
        name: what it is.
        value: the number, with its interval; NaN where there was nothing to measure.
        chance: what a model that knows nothing would get, if that is known.
        ceiling: what the simulator itself gets, if that is known.
        better: which direction is better; "" if the ceiling is to be met from either side.
        headline: it is among the numbers that sum the probe up.
        unit: such as "dB".
    """

    name: str
    value: Estimate
    chance: float | None = None
    ceiling: float | None = None
    better: Better = "higher"
    headline: bool = False
    unit: str = ""


def section(
    title: str,
    text: str,
    rows: Sequence[Row],
    *,
    charts: Sequence[Chart] = (),
    notes: Sequence[str] = (),
    details: Mapping[str, Any] | None = None,
) -> Section:
    """A section with a table of all rows, and those that are headlines as its numbers."""
    table = Table(
        "What was found, and what chance and the simulator itself would get",
        COLUMNS,
        tuple(_cells(row) for row in rows),
    )
    numbers = {row.name: _number(row) for row in rows if row.headline}
    return Section(title, text, numbers, tuple(charts), (table,), tuple(notes), dict(details or {}))


def line(name: str, estimates: Sequence[Estimate]) -> Line:
    """A curve with its intervals; NaN becomes a gap."""
    columns = ([getattr(e, end) for e in estimates] for end in ("mean", "low", "high"))
    return Line(name, *(tuple(finite(value) for value in column) for column in columns))


def finite(value: float | None) -> float | None:
    """The number rounded to six digits after the point; None for NaN and infinity."""
    return None if value is None or not math.isfinite(value) else round(float(value), 6)


def _cells(row: Row) -> tuple[str | float | int | None, ...]:
    v = row.value
    told = (v.mean, v.low, v.high, row.chance, row.ceiling)
    return (row.name, *(finite(x) for x in told), v.events)


def _number(row: Row) -> Number:
    v = row.value
    return Number(finite(v.mean), finite(v.low), finite(v.high), unit=row.unit, better=row.better)
