"""A chart as inline SVG: curves with bands, read off by pointing at them (`page/report.js`)."""

import html
import json
import math

from worldmodel_env.evaluation.report import Chart, Line

WIDTH, HEIGHT = 460, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 36
_DIRECTION = {"higher": "higher is better", "lower": "lower is better", "": ""}


def draw_chart(chart: Chart, colours: dict[str, int]) -> str:
    """The chart as a `<figure>`.

    Args:
        chart: what to draw.
        colours: line name -> number of its colour (`--line-0` ...), the same on the whole page;
            names that are not in it are references and drawn quietly, each with its own dashes.
    """
    references = [line.name for line in chart.lines if line.name not in colours]

    def style_of(name: str) -> str:
        if name in colours:
            return f"line-{colours[name]}"
        return f"reference dash-{references.index(name) % 3}"

    known = [v for line in chart.lines for v in _values(line)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    ticks = nice_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = chart.x[0], chart.x[-1]

    def px(x: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (x - first) / ((last - first) or 1)

    def py(y: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * (y - low) / ((high - low) or 1)

    parts = []
    for tick in ticks:
        y = py(tick)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(f'<text x="{_LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in nice_ticks(first, last):
        if first <= tick <= last:
            parts.append(
                f'<text x="{px(tick):.1f}" y="{HEIGHT - _BOTTOM + 16}" '
                f'text-anchor="middle">{tick:g}</text>'
            )
    parts.append(
        f'<text class="label" x="{(WIDTH + _LEFT) / 2}" y="{HEIGHT - 4}" '
        f'text-anchor="middle">{html.escape(chart.xlabel)}</text>'
    )
    for line in sorted(chart.lines, key=lambda line: line.name in colours):
        style = style_of(line.name)
        for run in _runs(chart.x, line.low, line.high):
            there = [f"{px(x):.1f},{py(h):.1f}" for x, _, h in run]
            back = [f"{px(x):.1f},{py(lo):.1f}" for x, lo, _ in reversed(run)]
            parts.append(f'<polygon class="band {style}" points="{" ".join(there + back)}"/>')
        for run in _runs(chart.x, line.mean, line.mean):
            points = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y, _ in run)
            parts.append(f'<polyline class="curve {style}" points="{points}"/>')
            if len(run) == 1:
                x, y, _ = run[0]
                parts.append(
                    f'<circle class="dot {style}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="3"/>'
                )
    parts.append(f'<line class="pointer" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
    data = {
        "x": chart.x,
        "left": px(first),
        "right": px(last),
        "xlabel": chart.xlabel,
        "lines": [{"name": line.name, "mean": line.mean} for line in chart.lines],
    }
    legend = "".join(
        f'<li class="{style_of(line.name)}">{html.escape(line.name)}</li>' for line in chart.lines
    )
    better = f" <small>{_DIRECTION[chart.better]}</small>" if chart.better else ""
    return (
        f'<figure class="chart" data-chart="{html.escape(json.dumps(data))}">'
        f"<figcaption>{html.escape(chart.title)}{better}</figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{html.escape(chart.title)}">{"".join(parts)}</svg>'
        f'<ul class="legend">{legend}</ul></figure>'
    )


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover [low, high], a handful of them."""
    if not high > low:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough)
    count = math.ceil(high / step - 1e-9) - math.floor(low / step + 1e-9)
    start = math.floor(low / step + 1e-9)
    return [round((start + i) * step, 12) for i in range(count + 1)]


def _values(line: Line) -> list[float]:
    return [v for values in (line.mean, line.low, line.high) for v in values if v is not None]


def _runs(
    x: tuple[float, ...], low: tuple[float | None, ...], high: tuple[float | None, ...]
) -> list[list[tuple[float, float, float]]]:
    """Stretches without gaps."""
    runs: list[list[tuple[float, float, float]]] = [[]]
    for at, lo, hi in zip(x, low, high, strict=False):
        if lo is None or hi is None:
            runs.append([])
        else:
            runs[-1].append((at, lo, hi))
    return [run for run in runs if run]
