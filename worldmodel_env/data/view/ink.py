"""Colours, letters and a canvas on which lines are smooth."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

Colour = tuple[int, int, int]

PAPER: Colour = (18, 20, 24)
PANEL: Colour = (30, 33, 39)
TEXT: Colour = (214, 218, 224)
FAINT: Colour = (126, 133, 143)
GOLD: Colour = (255, 200, 60)
WAY: Colour = (95, 200, 255)

# Told apart by most who see colours otherwise (after Okabe and Ito).
ACTIONS: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 126, 34),
    (0, 170, 125),
    (204, 121, 167),
    (240, 228, 66),
    (60, 110, 200),
    (213, 94, 0),
    (150, 150, 150),
)


def action_colour(action: int) -> Colour:
    """The colour of a choice; they repeat from the ninth on."""
    return ACTIONS[action % len(ACTIONS)]


def canvas(width: int, height: int, colour: Colour = PAPER) -> "Image":
    """An empty picture; InputError without Pillow."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise InputError('drawing needs Pillow: pip install "worldmodel-env[train]"') from error
    return Image.new("RGB", (width, height), colour)


def font(size: int) -> "FreeTypeFont":
    """Pillow's own typeface, of `size` pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]


def write(
    image: "Image",
    place: tuple[float, float],
    text: str,
    size: int = 12,
    colour: Colour = TEXT,
    anchor: str = "la",
) -> float:
    """Write a line of text; returns its width in pixels."""
    from PIL import ImageDraw

    letters = font(size)
    ImageDraw.Draw(image).text(place, text, fill=colour, font=letters, anchor=anchor)
    return float(letters.getlength(text))


def enlarge(frame: NDArray[np.uint8], side: int) -> "Image":
    """A frame (H, W, 3), its longer side made `side` pixels; small ones keep sharp pixels."""
    from PIL import Image

    height, width = frame.shape[:2]
    scale = side / max(height, width)
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(frame).resize(size, method)
