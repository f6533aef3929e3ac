"""The WAD file that the engine plays: the pools of one size as maps, and everything they show."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from simulators.maze import textures
from simulators.maze.layout import CELL
from simulators.maze.maps import Lump, map_lumps
from simulators.maze.pools import POOLS, pool_maze

GOAL_CLASS = "MazeGoal"
GOAL_RADIUS = 10

_DECORATE = f"""
actor {GOAL_CLASS} {{
  Radius {GOAL_RADIUS}
  Height 60
  +NOGRAVITY
  +NOBLOCKMAP
  States {{
  Spawn:
    GOAL A -1 Bright
    Stop
  }}
}}
"""
_LIGHT = {"X": 1.0, "Y": 0.84}
"""Walls along y (north to south) are a little darker, so that corners read."""


def map_name(split: str, index: int) -> str:
    """The map that holds maze `index` of a split's pool; a WAD has eight letters for it."""
    return f"{split[:2].upper()}{index:06d}"


def pool_wad(size: int, pools: Mapping[str, int] = POOLS) -> bytes:
    """A WAD with the first so many mazes of each split's pool of one size."""
    lumps = list(_pictures())
    for split, count in pools.items():
        for index in range(count):
            lumps += map_lumps(map_name(split, index), pool_maze(size, split, index))
    return _pack(lumps)


def _pictures() -> Iterator[Lump]:
    yield "PLAYPAL", textures.palette().tobytes() * 14
    yield "COLORMAP", textures.colormap()
    yield "DECORATE", _DECORATE.encode()
    yield "TEXTURES", "\n".join(_scaled_floor(theme) for theme in range(4)).encode()
    yield "PP_START", b""
    for theme, ramp in enumerate(textures.THEMES):
        yield f"PFLOOR{theme}", textures.png(textures.floor(ramp))
    yield "PP_END", b""
    yield "TX_START", b""
    for theme, ramp in enumerate(textures.THEMES):
        for pattern in range(3):
            for axis, light in _LIGHT.items():
                picture = textures.wall(ramp, pattern, light)
                yield f"WALL{theme}{pattern}{axis}", textures.png(picture)
    yield "CEILING", textures.png(textures.ceiling())
    yield "TX_END", b""
    yield "S_START", b""
    yield "GOALA0", textures.png(*textures.goal())
    yield "S_END", b""


def _scaled_floor(theme: int) -> str:
    """Makes a floor's picture, whose side must be a power of two, as wide as a cell."""
    side, scale = textures.FLOOR_SIDE, textures.FLOOR_SIDE / CELL
    return (
        f"Flat FLOOR{theme}, {side}, {side} {{ XScale {scale:.6f} YScale {scale:.6f} "
        f"Patch PFLOOR{theme}, 0, 0 }}"
    )


def _pack(lumps: Iterable[Lump]) -> bytes:
    body, directory = bytearray(), bytearray()
    for name, data in lumps:
        directory += struct.pack("<ii8s", 12 + len(body), len(data), name.encode())
        body += data
    header = struct.pack("<4sii", b"PWAD", len(directory) // 16, 12 + len(body))
    return header + bytes(body) + bytes(directory)
