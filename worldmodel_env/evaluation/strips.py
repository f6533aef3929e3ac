"""Frames side by side as one PNG: what was true over what was imagined, or a film at a glance."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import DPI, INK, new_figure, save_png

_GAP = 2  # pixels between frames
_CLIP_GAP = 14  # between clips
_MARGIN = 12
_HEADER = 26  # for the column labels
_LETTER = 13  # width of a letter in a row label


def write_strips(
    path: Path,
    clips: Sequence[Mapping[str, np.ndarray]],
    columns: Sequence[object],
    *,
    scale: int = 2,
) -> None:
    """Write clips below one another, each a block of rows of frames; pixels stay sharp.

    Args:
        path: the PNG.
        clips: per clip, row label -> frames (K, H, W, 3) uint8, the same K, H and W throughout,
            e.g. `{"true": ..., "imagined": ...}`.
        columns: K labels above the columns, e.g. the horizons.
        scale: pixels of the picture per pixel of a frame.

    Raises:
        InputError: frames of unequal shape or not uint8, no frames, a label too many or too few,
            matplotlib missing, or a file that cannot be written.
    """
    rows = [frames for clip in clips for frames in clip.values()]
    _check(rows, len(columns))
    height, width = (scale * n for n in rows[0].shape[1:3])
    left = _MARGIN + _LETTER * max(len(label) for clip in clips for label in clip)
    lefts = left + (width + _GAP) * np.arange(len(columns))
    tops, labels, top = [], [], _HEADER
    for clip in clips:
        for label in clip:
            tops.append(top)
            labels.append(label)
            top += height + _GAP
        top += _CLIP_GAP
    shape = (top - _GAP - _CLIP_GAP + _MARGIN, lefts[-1] + width + _MARGIN)
    canvas = np.full((*shape, 3), 255, np.uint8)
    for y, frames in zip(tops, rows, strict=True):
        for x, frame in zip(lefts, frames, strict=True):
            canvas[y : y + height, x : x + width] = frame.repeat(scale, 0).repeat(scale, 1)

    figure = new_figure(shape[1] / DPI, shape[0] / DPI)
    figure.figimage(canvas, resize=False)

    def write(x: float, y: float, text: str, align: str, size: float) -> None:
        figure.text(
            x / shape[1], 1 - y / shape[0], text, ha=align, va="center", fontsize=size, color=INK
        )

    for x, column in zip(lefts, columns, strict=True):
        write(x + width / 2, _HEADER / 2, str(column), "center", 7)
    for y, label in zip(tops, labels, strict=True):
        write(left - _MARGIN / 2, y + height / 2, label, "right", 8)
    save_png(figure, path)


def write_contact_sheet(
    path: Path, frames: np.ndarray, *, columns: int = 10, every: int = 1, scale: int = 2
) -> None:
    """Write one film as a grid in reading order, each row labelled with its first frame's number.

    Args:
        path: the PNG.
        frames: (T, H, W, 3) uint8.
        columns: frames per row.
        every: show each `every`-th frame.
        scale: pixels of the picture per pixel of a frame.

    Raises:
        InputError: as `write_strips`.
    """
    shown = frames[::every]
    _check([shown], len(shown))
    rows = -(-len(shown) // columns)
    padded = np.full((rows * columns, *shown.shape[1:]), 255, np.uint8)
    padded[: len(shown)] = shown
    grid = padded.reshape(rows, columns, *shown.shape[1:])
    labelled = {str(row * columns * every): strip for row, strip in enumerate(grid)}
    offsets = [f"+{column * every}" for column in range(columns)]
    write_strips(path, [labelled], offsets, scale=scale)


def _check(rows: Sequence[np.ndarray], columns: int) -> None:
    shapes = sorted({row.shape for row in rows})
    whole = len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][-1] == 3 and 0 not in shapes[0]
    if not whole or shapes[0][0] != columns or any(row.dtype != np.uint8 for row in rows):
        found = ", ".join(sorted({f"{row.dtype} {row.shape}" for row in rows})) or "no frames"
        raise InputError(
            f"A strip got {found} where uint8 ({columns}, H, W, 3) was expected in every row: give "
            f"one frame per column label."
        )
