"""Several reports on one page: numbers side by side, curves and films together."""

import html
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.examples import TRUE, Example, load_examples
from worldmodel_env.evaluation.report import Cell, Chart, Line, Report, Section, Table
from worldmodel_env.evaluation.report_page import number_text, render, table_html

_ARROW = {"higher": " ↑", "lower": " ↓", "": ""}

MOST = 8
"""Reports on a page: more colours could not be told apart."""

Named = Mapping[str, Report]


def compare(folders: Sequence[Path], out: Path) -> Path:
    """Write one page of several reports.

    Args:
        folders: of the reports.
        out: the HTML file.

    Raises:
        InputError: fewer than two or more than eight reports, or one cannot be read.
    """
    if not 2 <= len(folders) <= MOST:
        raise InputError(f"compare got {len(folders)} reports; give 2 to {MOST} folders.")
    loaded = [Report.load(folder) for folder in folders]
    count = Counter(report.model for report in loaded)
    reports = {}
    for folder, report in zip(folders, loaded, strict=True):
        name = report.model if count[report.model] == 1 else f"{report.model} ({folder})"
        reports[name] = report
    if len(reports) < len(loaded):
        raise InputError(f"compare got a folder twice; give {len(loaded)} different ones.")
    sections = [_merged(name, reports) for name in _names(reports)]
    examples = _together(
        {name: load_examples(folder) for name, folder in zip(reports, folders, strict=True)},
        {name: report.model for name, report in reports.items()},
    )
    models = list(reports)
    title = f"{len(models)} models compared"
    intro = f"<h1>{title}</h1>" + table_html(_overview(reports))
    for warning in _differences(reports):
        intro += f'<section><p class="note">{html.escape(warning)}</p></section>'
    about = "".join(
        f"<h3>{html.escape(name)}</h3><pre>{html.escape(json.dumps(dict(r.about), indent=1))}</pre>"
        for name, r in reports.items()
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, render(title, intro, sections, models, examples, about).encode())
    return out


def _names(reports: Named) -> list[str]:
    return list(dict.fromkeys(name for report in reports.values() for name in report.sections))


def _overview(reports: Named) -> Table:
    """A row per number, a column per model."""
    found = {
        (section, name): _ARROW[number.better]
        for report in reports.values()
        for section, content in report.sections.items()
        for name, number in content.numbers.items()
    }
    rows = []
    for (section, name), arrow in found.items():
        numbers = [
            r.sections[section].numbers.get(name) if section in r.sections else None
            for r in reports.values()
        ]
        cells = ["–" if number is None else number_text(number) for number in numbers]
        rows.append((f"{name}{arrow}", *cells))
    return Table("", ("", *reports), tuple(rows))


def _merged(name: str, reports: Named) -> Section:
    """One section of every report that has it: the same charts drawn over one another."""
    having = {model: r for model, r in reports.items() if name in r.sections}
    first = next(iter(having.values())).sections[name]
    titles = dict.fromkeys(c.title for r in having.values() for c in r.sections[name].charts)
    return Section(
        title=first.title,
        text=first.text,
        charts=tuple(_merged_chart(name, title, having) for title in titles),
        tables=_merged_tables(name, having),
        notes=tuple(f"{m}: {note}" for m, r in having.items() for note in r.sections[name].notes),
    )


def _merged_chart(section: str, title: str, reports: Named) -> Chart:
    lines: list[Line] = []
    longest: Chart | None = None
    for model, report in reports.items():
        for chart in report.sections[section].charts:
            if chart.title != title:
                continue
            longest = chart if longest is None or len(chart.x) > len(longest.x) else longest
            for line in chart.lines:
                own = line.name == report.model
                new = Line(model if own else line.name, line.mean, line.low, line.high)
                # What all are compared with is the same in every report, and drawn once.
                if own or not any(
                    name == line.name for name in (*reports, *(x.name for x in lines))
                ):
                    lines.append(new)
    assert longest is not None
    kept = [
        line for line in lines if line.name in reports or _shared(line, section, title, reports)
    ]
    return Chart(title, longest.xlabel, longest.x, tuple(kept), longest.better)


def _merged_tables(section: str, reports: Named) -> tuple[Table, ...]:
    """Tables of one caption and one heading become one; like rows stand below one another."""
    rows: dict[tuple[str, tuple[str, ...]], dict[tuple[Cell, ...], None]] = {}
    for model, report in reports.items():
        for table in report.sections[section].tables:
            mine = rows.setdefault((table.caption, table.columns), {})
            for row in table.rows:
                label = str(row[0])
                if report.model in label:
                    mine[(label.replace(report.model, model), *row[1:])] = None
                elif all(_has(row, table, section, other) for other in reports.values()):
                    mine[row] = None
                elif label not in reports:
                    mine[(f"{label}, {model}", *row[1:])] = None
    merged = []
    for (caption, columns), found in rows.items():
        kinds = list(dict.fromkeys(str(row[0]).split(", ")[0] for row in found))
        ordered = sorted(found, key=lambda row: kinds.index(str(row[0]).split(", ")[0]))
        merged.append(Table(caption, columns, tuple(ordered)))
    return tuple(merged)


def _has(row: tuple[Cell, ...], table: Table, section: str, report: Report) -> bool:
    return any(
        row in other.rows
        for other in report.sections[section].tables
        if other.caption == table.caption
    )


def _shared(line: Line, section: str, title: str, reports: Named) -> bool:
    charts = [c for r in reports.values() for c in r.sections[section].charts if c.title == title]
    same = [any(x.name == line.name and x.mean == line.mean for x in c.lines) for c in charts]
    return all(same)


def _together(examples: Mapping[str, Sequence[Example]], own: Mapping[str, str]) -> list[Example]:
    """Films of the same episode and part, of all models that have them."""
    found: dict[tuple[str, int, int], Example] = {}
    for model, films in examples.items():
        for example in films:
            key = (example.part, example.episode, example.lead)
            true = example.films[TRUE]
            seen = found.get(key)
            if seen is not None and seen.films[TRUE].shape != true.shape:
                continue
            before = seen.films if seen is not None else {TRUE: true}
            merged = {**before, model: example.films[own[model]]}
            found[key] = Example(example.part, example.episode, example.lead, merged)
    return [example for example in found.values() if len(example.films) > 2]


def _differences(reports: Named) -> list[str]:
    first_name, first = next(iter(reports.items()))
    warnings = []
    for name, report in reports.items():
        unlike = [
            what
            for what in ("data", "parts", "seeds", "networks")
            if report.about.get(what) != first.about.get(what)
        ]
        if unlike:
            warnings.append(
                f"{name} and {first_name} differ in {', '.join(unlike)}: their numbers are not "
                "comparable, FVD least of all."
            )
    return warnings
