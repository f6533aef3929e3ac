"""A report: what was measured of one model, in sections of numbers, tables and charts.

The JSON is the report; the page (`report_page.py`) shows what it holds and knows no metric by name,
so a new measurement is a new section and nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from worldmodel_env._version import __version__
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

FORMAT = "worldmodel-report"
FORMAT_VERSION = 1
FILE = "report.json"

Cell = str | int | float | None


@dataclass(frozen=True)
class Number:
    """One number that sums a section up, and what `worldmodel compare` puts side by side.

    Attributes:
        value: None if it could not be measured; the section's notes say why.
        low: lower end of its 95 % interval, if there is one.
        high: upper end.
        std: standard deviation over groups, if there are several.
        unit: such as "dB".
        better: which direction is better, if either.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    std: float | None = None
    unit: str = ""
    better: Literal["higher", "lower", ""] = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under a caption; numbers are rounded only when shown."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Line:
    """A curve, with an interval if `low` and `high` are given; None is a gap."""

    name: str
    mean: tuple[float | None, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Chart:
    """Curves over one axis.

    Attributes:
        title: what is drawn, with its unit.
        xlabel: of the axis.
        x: where the lines have values, ascending.
        lines: the report's own model by its name, and what it is compared with.
        better: as in `Number`.
    """

    title: str
    xlabel: str
    x: tuple[float, ...]
    lines: tuple[Line, ...]
    better: Literal["higher", "lower", ""] = ""


@dataclass(frozen=True)
class Section:
    """One measurement.

    Attributes:
        title: a heading.
        text: one paragraph: what was done, on how much, and how to read it.
        numbers: what sums it up, by name.
        charts: drawn in a row.
        tables: below.
        notes: warnings, such as too few samples, or why a metric is missing.
        details: everything else that a reader of the JSON may want; not shown.
    """

    title: str
    text: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Sections by name, and what they are about.

    Attributes:
        model: the model's name, which is also the name of its lines in charts.
        about: what must be known to repeat the measurement: world, data, protocol, versions.
        sections: by a short name that is the same in every report, such as "prediction".
    """

    model: str
    about: Mapping[str, Any]
    sections: Mapping[str, Section] = field(default_factory=dict)

    def with_section(self, name: str, section: Section) -> "Report":
        """The report with one more section, or with that one replaced."""
        return replace(self, sections={**self.sections, name: section})

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        head = {"format": FORMAT, "format_version": FORMAT_VERSION, "written_by": __version__}
        return {**head, **asdict(self)}

    def save(self, folder: Path) -> Path:
        """Write `report.json` into the folder, atomically; InputError if it cannot be written."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot make the folder {folder} ({error.strerror}); choose another one."
            ) from None
        path = folder / FILE
        replace_file(path, (json.dumps(self.as_dict(), indent=1, allow_nan=False) + "\n").encode())
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Report":
        """Read a report, given its folder or its JSON file.

        Raises:
            InputError: there is none, or it is of another format.
        """
        file = Path(path) / FILE if Path(path).is_dir() else Path(path)
        try:
            data = json.loads(file.read_bytes())
            if (data.get("format"), data.get("format_version")) != (FORMAT, FORMAT_VERSION):
                raise InputError(
                    f"{file} is not a {FORMAT} of version {FORMAT_VERSION}; give what `worldmodel "
                    "evaluate --protocol teco` or `worldmodel score` wrote."
                )
            sections = {name: _section(value) for name, value in data["sections"].items()}
            return cls(data["model"], data["about"], sections)
        except OSError as error:
            raise InputError(
                f"report {file} cannot be read ({error.strerror}); give the folder that "
                "`worldmodel evaluate` wrote."
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"report {file} is damaged ({type(error).__name__}: {error}); evaluate again."
            ) from None


def _section(data: dict[str, Any]) -> Section:
    charts = [
        Chart(**{**c, "x": tuple(c["x"]), "lines": tuple(_line(line) for line in c["lines"])})
        for c in data["charts"]
    ]
    tables = [
        Table(t["caption"], tuple(t["columns"]), tuple(tuple(row) for row in t["rows"]))
        for t in data["tables"]
    ]
    return Section(
        title=data["title"],
        text=data["text"],
        numbers={name: Number(**value) for name, value in data["numbers"].items()},
        charts=tuple(charts),
        tables=tuple(tables),
        notes=tuple(data["notes"]),
        details=data["details"],
    )


def _line(data: dict[str, Any]) -> Line:
    return Line(data["name"], *(tuple(data[key]) for key in ("mean", "low", "high")))
