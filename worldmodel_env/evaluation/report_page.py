"""A report as one HTML file: tables, charts and films, nothing fetched from anywhere."""

import base64
import html
import io
import json
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.examples import TRUE, Example
from worldmodel_env.evaluation.report import Cell, Number, Report, Section, Table
from worldmodel_env.evaluation.report_chart import draw_chart

FILE = "report.html"
_ARROW = {"higher": " ↑", "lower": " ↓", "": ""}
_QUALITY = 85
_SHORT = 5  # letters of a unit that fit beside a large number


def write_page(folder: Path, report: Report, examples: Sequence[Example] = ()) -> Path:
    """Write OUT/report.html, atomically.

    Raises:
        InputError: Pillow, which makes the films, is not installed, or the file cannot be written.
    """
    path = folder / FILE
    title = f"{report.model}: evaluation"
    intro = f"<h1>{html.escape(report.model)}</h1>{_subtitle(report)}"
    numbers = [
        _card(name, number)
        for section in report.sections.values()
        for name, number in section.numbers.items()
    ]
    intro += f'<div class="cards">{"".join(numbers)}</div>'
    about = f"<pre>{html.escape(json.dumps(dict(report.about), indent=1))}</pre>"
    page = render(title, intro, list(report.sections.values()), [report.model], examples, about)
    replace_file(path, page.encode())
    return path


def render(
    title: str,
    intro: str,
    sections: Sequence[Section],
    models: Sequence[str],
    examples: Sequence[Example],
    about: str,
) -> str:
    """The page's text.

    Args:
        title: of the window.
        intro: HTML at the top.
        sections: shown in order.
        models: names of lines and films that are drawn in a colour, each in its own.
        examples: films, shown after the first section.
        about: HTML at the end.
    """
    folder = files("worldmodel_env.evaluation") / "page"
    style, script = ((folder / name).read_text() for name in ("report.css", "report.js"))
    colours = {name: i for i, name in enumerate(models)}
    shown = [_section(section, colours) for section in sections]
    if examples:
        shown.insert(1, _films(examples, colours))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>"
        f"<header>{intro}</header><main>{''.join(shown)}"
        f"<details><summary>How it was measured</summary>{about}</details></main>"
        f"<script>{script}</script></body></html>\n"
    )


def number_text(number: Number) -> str:
    """Such as "21.3 dB [20.9, 21.8], ± 0.4 over groups"."""
    if number.value is None:
        return "not measured"
    text = f"{cell_text(number.value)}{f' {number.unit}' if number.unit else ''}"
    if number.low is not None and number.high is not None:
        text += f" [{cell_text(number.low)}, {cell_text(number.high)}]"
    return text if number.std is None else f"{text}, ± {cell_text(number.std)} over groups"


def cell_text(value: Cell) -> str:
    """A cell as shown: four significant digits, and no fewer than the whole number has."""
    if value is None:
        return "–"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        digits = max(0, 3 - math.floor(math.log10(abs(value)))) if value else 0
        return f"{value:.{min(digits, 6)}f}"
    return str(value)


def table_html(table: Table) -> str:
    """A table; the first column is a heading."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in table.columns)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<{'td' if i else 'th'}>{html.escape(cell_text(value))}</{'td' if i else 'th'}>"
            for i, value in enumerate(row)
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="table"><table><caption>{html.escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _section(section: Section, colours: dict[str, int]) -> str:
    notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in section.notes)
    charts = "".join(draw_chart(chart, colours) for chart in section.charts)
    tables = "".join(table_html(table) for table in section.tables)
    return (
        f"<section><h2>{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>{notes}"
        f'<div class="charts">{charts}</div>{tables}</section>'
    )


def _subtitle(report: Report) -> str:
    data = report.about.get("data", {})
    simulators = ", ".join(data.get("simulators", []))
    words = [
        f"{data['episodes']} {data['split']} episodes of {simulators}" if "split" in data else "",
        str(report.about.get("note", "")),
    ]
    return f"<p>{html.escape('. '.join(filter(None, words)))}</p>"


def _card(name: str, number: Number) -> str:
    value, unit = "not measured", ""
    detail = []
    if number.value is not None:
        value = cell_text(number.value)
        if len(number.unit) > _SHORT:
            detail.append(number.unit.strip("()"))
        else:
            unit = f" <small>{html.escape(number.unit)}</small>"
    if number.low is not None and number.high is not None:
        detail.append(f"{cell_text(number.low)} to {cell_text(number.high)}")
    if number.std is not None:
        detail.append(f"± {cell_text(number.std)} over groups")
    return (
        f'<div class="card"><span>{html.escape(name)}{_ARROW[number.better]}</span>'
        f"<b>{value}{unit}</b><small>{html.escape(', '.join(detail))}</small></div>"
    )


def _films(examples: Sequence[Example], colours: dict[str, int]) -> str:
    shown = []
    for example in examples:
        length, height, width = next(iter(example.films.values())).shape[:3]
        columns = min(length, max(1, 2048 // width))
        films = [
            {
                "name": name,
                "style": f"line-{colours[name]}" if name in colours else "reference",
                "sheet": _sheet(film, columns),
            }
            for name, film in sorted(example.films.items(), key=lambda item: item[0] != TRUE)
        ]
        shown.append(
            {
                "title": f"episode {example.episode}, {example.part}",
                "lead": example.lead, "length": length, "width": width, "height": height,
                "columns": columns, "films": films,
            }
        )  # fmt: skip
    data = json.dumps(shown).replace("</", "<\\/")
    return (
        '<section id="films"><h2>Films</h2><p>The first episodes by number, not picked: '
        "the end of the context, then the prediction beside what really followed.</p>"
        f'<script type="application/json">{data}</script></section>'
    )


def _sheet(film: NDArray[np.uint8], columns: int) -> str:
    """All frames in one picture, row by row, as a data URI."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            "The report's page needs Pillow, which is not installed: "
            'pip install "worldmodel-env[train]".'
        ) from None
    length, height, width = film.shape[:3]
    rows = -(-length // columns)
    padded = np.zeros((rows * columns, height, width, 3), np.uint8)
    padded[:length] = film
    grid = padded.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    buffer = io.BytesIO()
    picture = Image.fromarray(grid.reshape(rows * height, columns * width, 3))
    picture.save(buffer, "WEBP", quality=_QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
