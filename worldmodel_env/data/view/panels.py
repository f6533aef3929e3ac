"""Two drawings of an episode: where it went, and what was done when."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.episode import Episode
from worldmodel_env.data.view.ink import (
    FAINT,
    GOLD,
    PANEL,
    TEXT,
    WAY,
    Colour,
    action_colour,
    canvas,
    write,
)

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_SMOOTH = 3
"""Maps are drawn so many times larger and then shrunk."""


def draw_map(
    episode: Episode, side: int, now: int | None = None, marks: Sequence[int] = ()
) -> "Image":
    """The way of an episode from above: y upwards, brighter as time goes on.

    Args:
        episode: with poses; without any the panel says so.
        side: of the square, in pixels.
        now: a frame whose pose is shown as an arrow, and after which the way is only hinted at.
        marks: frames whose places and headings are shown.
    """
    from PIL import Image, ImageDraw

    if episode.pose is None:
        panel = canvas(side, side, PANEL)
        write(panel, (side / 2, side / 2), "no pose", 11, FAINT, "mm")
        return panel
    large = canvas(side * _SMOOTH, side * _SMOOTH, PANEL)
    draw = ImageDraw.Draw(large)
    points = _fit(episode.pose[:, :2], side * _SMOOTH)
    last = len(points) - 1
    now = last if now is None else now
    for step in range(last):
        age = step / max(last - 1, 1)
        shade = 0.2 if step >= now else 0.35 + 0.65 * age
        colour = tuple(round(p + (c - p) * shade) for p, c in zip(PANEL, WAY, strict=True))
        draw.line([*points[step], *points[step + 1]], fill=colour, width=2 * _SMOOTH)
    for rewarded in np.flatnonzero(episode.rewards[:now]) + 1:
        _dot(draw, points[rewarded], 4 * _SMOOTH, GOLD)
    for frame in marks:
        _arrow(draw, points[frame], float(episode.pose[frame, 2]), 6.5 * _SMOOTH, TEXT)
    if not marks:
        _arrow(draw, points[now], float(episode.pose[now, 2]), 9 * _SMOOTH, TEXT)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def draw_timeline(
    episode: Episode, width: int, height: int, now: int | None = None, marks: Sequence[int] = ()
) -> "Image":
    """What was done at each step, left to right, with rewards as gold ticks above.

    Choices have a colour each, one row per dimension; numbers are blue below and orange above the
    middle of their range in this episode.

    Args:
        episode: of T steps.
        width: of the panel, in pixels; the steps fill it.
        height: of the panel.
        now: a frame to point at.
        marks: frames to mark with a notch.
    """
    from PIL import Image, ImageDraw

    ticks = 6
    panel = canvas(width, height, PANEL)
    rows = action_rows(episode.actions)
    panel.paste(
        Image.fromarray(rows).resize((width, height - ticks), Image.Resampling.NEAREST), (0, ticks)
    )
    draw = ImageDraw.Draw(panel)
    x = np.linspace(0, width - 1, len(episode) + 1)
    for step in np.flatnonzero(episode.rewards):
        draw.line([x[step + 1], 0, x[step + 1], ticks], fill=GOLD, width=2)
    for frame in marks:
        draw.line([x[frame], ticks, x[frame], ticks + 4], fill=(255, 255, 255))
    if now is not None:
        draw.line([x[now], 0, x[now], height], fill=(255, 255, 255), width=2)
    return panel


def action_rows(actions: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Colours of the actions, (k, T, 3) uint8."""
    columns = actions.reshape(len(actions), -1).T
    if np.issubdtype(columns.dtype, np.integer):
        return np.array([[action_colour(int(a)) for a in row] for row in columns], np.uint8)
    low, high = columns.min(1, keepdims=True), columns.max(1, keepdims=True)
    level = 2 * (columns - low) / np.maximum(high - low, 1e-9) - 1  # -1 to 1
    ends = np.where(level[..., None] < 0, action_colour(0), action_colour(1))
    return np.round(PANEL + (ends - PANEL) * np.abs(level)[..., None]).astype(np.uint8)


def _fit(places: NDArray[np.float32], side: int) -> list[tuple[float, float]]:
    """Places (x, y) in a square panel, one scale for both, y upwards."""
    low, high = places.min(0), places.max(0)
    margin = 0.1 * side
    scale = (side - 2 * margin) / max(float((high - low).max()), 1e-6)
    middle = (low + high) / 2
    x = side / 2 + (places[:, 0] - middle[0]) * scale
    y = side / 2 - (places[:, 1] - middle[1]) * scale
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _dot(draw: "ImageDraw", place: tuple[float, float], radius: float, colour: Colour) -> None:
    x, y = place
    draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)


def _arrow(
    draw: "ImageDraw", place: tuple[float, float], heading: float, size: float, colour: Colour
) -> None:
    """A dart at a place; headings are counter-clockwise from the right, in degrees."""
    corners = []
    for turn, length in ((0, 1.0), (140, 0.8), (180, 0.35), (220, 0.8)):
        angle = math.radians(heading + turn)
        corners.append(
            (place[0] + size * length * math.cos(angle), place[1] - size * length * math.sin(angle))
        )
    draw.polygon(corners, fill=colour)
