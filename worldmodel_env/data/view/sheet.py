"""A contact sheet: a row per episode with some of its frames, its map and its actions."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.view.ink import (
    FAINT,
    GOLD,
    TEXT,
    action_colour,
    canvas,
    enlarge,
    write,
)
from worldmodel_env.data.view.panels import draw_map, draw_timeline
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 128
GAP = 6
HEAD, CAPTION, LINE = 24, 18, 20


def draw_sheet(
    dataset: TrajectoryDataset, refs: Sequence[EpisodeRef], columns: int = 8
) -> NDArray[np.uint8]:
    """Draw episodes, one below the other.

    Args:
        dataset: an open data set.
        refs: of the episodes.
        columns: frames of each, evenly spaced from first to last.

    Returns:
        The picture, (H, W, 3) uint8.
    """
    rows = [_draw_row(ref, dataset.read(ref), columns) for ref in refs]
    width = max(row.width for row in rows) + 2 * GAP
    sheet = canvas(width, sum(row.height + 2 * GAP for row in rows) + GAP)
    top = GAP
    for row in rows:
        sheet.paste(row, (GAP, top))
        top += row.height + 2 * GAP
    return np.asarray(sheet)


def save_sheet(
    path: Path, dataset: TrajectoryDataset, refs: Sequence[EpisodeRef], columns: int = 8
) -> None:
    """Draw episodes into a .png, replaced atomically.

    Raises:
        InputError: it cannot be written, or Pillow is not installed.
    """
    from PIL import Image

    if columns < 2:
        raise InputError(f"--columns is {columns}: give 2 or more")
    content = io.BytesIO()
    Image.fromarray(draw_sheet(dataset, refs, columns)).save(content, "PNG")
    replace_file(path, content.getvalue())


def _draw_row(ref: EpisodeRef, episode: Episode, columns: int) -> "Image":
    marks = np.unique(np.linspace(0, len(episode), columns).round().astype(int)).tolist()
    strip = columns * (SIDE + GAP) - GAP
    row = canvas(strip + GAP + SIDE, HEAD + SIDE + CAPTION + LINE)
    x = write(row, (0, 4), f"{ref.split} {ref.seed}", 14) + 10
    write(row, (x, 6), describe(ref, episode), 12, FAINT)
    for column, frame in enumerate(marks):
        left = column * (SIDE + GAP)
        row.paste(enlarge(episode.observations[frame], SIDE), (left, HEAD))
        _caption(row, left, HEAD + SIDE + 3, episode, frame)
    row.paste(draw_map(episode, SIDE, marks=marks), (strip + GAP, HEAD))
    line = draw_timeline(episode, strip, LINE - 2, marks=marks)
    row.paste(line, (0, HEAD + SIDE + CAPTION))
    write(
        row,
        (strip + GAP, HEAD + SIDE + CAPTION + 4),
        f"{len(episode)} steps",
        11,
        FAINT,
    )
    return row


def describe(ref: EpisodeRef, episode: Episode) -> str:
    """Where an episode is from, and how it went."""
    parts = [ref.row.simulator, ref.row.task, f"policy {ref.row.policy}"]
    if source := episode.attributes.get("source"):
        parts.append(str(source))
    end = "terminated" if episode.terminations.any() else "truncated"
    parts.append(f"return {episode.rewards.sum():g}, {end}")
    return "  ·  ".join(part for part in parts if part)


def _caption(row: "Image", left: int, top: int, episode: Episode, frame: int) -> None:
    """The frame's number and the action taken after it."""
    from PIL import ImageDraw

    rewarded = frame > 0 and episode.rewards[frame - 1] != 0
    x = left + write(row, (left, top), f"{frame}", 11, GOLD if rewarded else TEXT) + 6
    if frame == len(episode):
        write(row, (x, top), "end", 11, FAINT)
        return
    action = episode.actions[frame]
    text = action_text(action)
    if action.ndim == 0:
        box = [x, top + 2, x + 9, top + 11]
        ImageDraw.Draw(row).rectangle(box, fill=action_colour(int(action)))
        x += 13
    write(row, (x, top), text, 11, FAINT)


def action_text(action: NDArray[np.generic]) -> str:
    """An action in few letters."""
    if action.ndim == 0:
        return f"action {action}"
    if np.issubdtype(action.dtype, np.integer):
        return " ".join(str(part) for part in action.tolist())
    shown = " ".join(f"{part:+.2f}" for part in action[:3].tolist())
    return shown + (" …" if len(action) > 3 else "")
