"""The maze's own palette and pictures: coarse and saturated, so that they read at 64x64.

The palette is eight ramps of 32 shades. A colour is (ramp, shade); darkening steps down its ramp,
so shading never changes a hue.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from simulators.maze.layout import CELL

SHADES = 32
MARGIN = 24
"""Rows above and below a wall's picture, which thus has 128.

The engine's rounding reads a texel beyond a wall's edge now and then; without the margin that would
be whatever memory holds there, and frames would differ from process to process.
"""
STRETCH = 1.2
"""How much taller than wide the engine draws a square, as Doom's first screens did."""
WIDTH, HEIGHT = CELL, 80
"""A wall's width and height, in units and texels: on the frame this is a square."""
_RAMPS = (
    (226, 62, 48),  # red: north-west
    (52, 116, 236),  # blue: north-east
    (64, 184, 62),  # green: south-west
    (244, 186, 34),  # yellow: south-east
    (214, 218, 224),  # neutral: ceiling and mortar
    (255, 40, 214),  # magenta: the goal
    (140, 132, 128),  # warm grey
    (255, 255, 255),  # white
)
RED, BLUE, GREEN, YELLOW, NEUTRAL, MAGENTA, WARM, WHITE = range(len(_RAMPS))
THEMES = (RED, BLUE, GREEN, YELLOW)
"""The hue of the north-west, north-east, south-west and south-east quadrant."""
FLOOR_SIDE = 128
"""Texels along one side of a floor's picture, which covers one cell."""

Picture = NDArray[np.uint8]
"""Palette indices, (height, width)."""


def index(ramp: int, brightness: float) -> int:
    """The palette index of a ramp's colour at a brightness in [0, 1]."""
    return ramp * SHADES + round(brightness * (SHADES - 1))


def palette() -> NDArray[np.uint8]:
    """The 256 colours, uint8 (256, 3)."""
    shade = np.linspace(0, 1, SHADES)[None, :, None]
    return np.round(np.array(_RAMPS, float)[:, None] * shade).astype(np.uint8).reshape(256, 3)


def colormap() -> bytes:
    """Doom's COLORMAP lump: for each of 34 light levels, what each index darkens to."""
    ramp, shade = np.divmod(np.arange(256), SHADES)
    rows = [ramp * SHADES + np.round(shade * (1 - level / 32)).astype(int) for level in range(32)]
    rows += [ramp * SHADES + shade, np.zeros(256, int)]
    return np.array(rows, np.uint8).tobytes()


def wall(ramp: int, pattern: int, light: float) -> Picture:
    """A wall under a light in [0, 1]; patterns: 0 coarse blocks, 1 diagonal stripes, 2 a disc."""
    picture = _wall(ramp, pattern)
    shade = np.round(picture % SHADES * light).astype(np.uint8)
    return np.pad(picture - picture % SHADES + shade, ((MARGIN, MARGIN), (0, 0)), mode="edge")


def _wall(ramp: int, pattern: int) -> Picture:
    y, x = (np.mgrid[:HEIGHT, :WIDTH] + 0.5) * np.array((STRETCH, 1.0))[:, None, None]
    if pattern == 0:
        shifted = x + 24 * (y // 32 % 2)
        mortar = (y % 32 < 4) | (shifted % 48 < 4)
        shade = 0.76 + 0.14 * ((shifted // 48 + y // 32) % 2)
        return np.where(mortar, index(ramp, 0.42), _shaded(ramp, shade)).astype(np.uint8)
    if pattern == 1:
        stripe = (x + y) % 48 < 24
        return np.where(stripe, index(ramp, 0.95), index(WHITE, 0.92)).astype(np.uint8)
    radius = np.hypot(x - 48, y - 48)
    picture = np.full((HEIGHT, WIDTH), index(ramp, 0.55), np.uint8)
    picture[radius < 38] = index(WHITE, 0.95)
    picture[radius < 24] = index(ramp, 0.95)
    return picture


def floor(ramp: int) -> Picture:
    """A checker of the theme's darker shades, two by two in a cell."""
    y, x = np.mgrid[:FLOOR_SIDE, :FLOOR_SIDE] // (FLOOR_SIDE // 2)
    return np.where((x + y) % 2 == 0, index(ramp, 0.62), index(ramp, 0.44)).astype(np.uint8)


def ceiling() -> Picture:
    """One even light colour."""
    return np.full((64, 64), index(NEUTRAL, 0.97), np.uint8)


def goal() -> tuple[Picture, NDArray[np.bool_]]:
    """The goal, a ringed magenta ball: its picture and the mask of what is solid."""
    y, x = np.mgrid[:50, :60] + 0.5
    x, y = x - 30, (y - 25) * STRETCH
    radius = np.hypot(x, y)
    picture = _shaded(MAGENTA, np.clip(1.1 - np.hypot(x + 8, y + 10) / 85, 0.6, 1))
    picture[np.abs(y) < 7] = index(WHITE, 1)
    return picture, radius < 30


def png(picture: Picture, solid: NDArray[np.bool_] | None = None) -> bytes:
    """A paletted PNG; with `solid`, a sprite: transparent elsewhere, and standing on its foot."""
    height, width = picture.shape
    colours = palette()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))]
    if solid is not None:
        chunks.append((b"grAb", struct.pack(">ii", width // 2, height)))
    chunks.append((b"PLTE", colours.tobytes()))
    if solid is not None:
        chunks.append((b"tRNS", b"\0"))
        picture = np.where(solid, picture, 0).astype(np.uint8)
    rows = np.pad(picture, ((0, 0), (1, 0)))
    chunks += [(b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _shaded(ramp: int, brightness: NDArray[np.float64]) -> Picture:
    return (ramp * SHADES + np.round(brightness * (SHADES - 1))).astype(np.uint8)
