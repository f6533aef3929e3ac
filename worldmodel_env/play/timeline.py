"""A walk so far, with a cursor that moves to any of its moments and goes on from there.

The world's state at a moment is a megabyte, most of it as it was the moment before: the timeline
holds one state, and between neighbours what their bits differ in. Applied to either, a difference
gives the other.
"""

import zlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.play.scene import Scene

Arrays = Mapping[str, NDArray]
Delta = Mapping[str, bytes]

MOST_BYTES = 32 << 20
"""About 700 moments of the world `maze`."""


class Timeline:
    """Moments in a row, the oldest of which are forgotten when they fill the space given.

    Attributes:
        scenes: of all moments held, the oldest first; never empty.
        position: index of the present one.
        state: the world's at the present moment.
    """

    def __init__(self, state: Arrays, scene: Scene, most_bytes: int = MOST_BYTES) -> None:
        """Begin with one moment."""
        self.scenes = [scene]
        self.position = 0
        self.state = state
        self._deltas: list[Delta] = []  # between neighbours
        self._most_bytes = most_bytes
        self._bytes = 0

    @property
    def scene(self) -> Scene:
        """The present one."""
        return self.scenes[self.position]

    def append(self, state: Arrays, scene: Scene) -> None:
        """Put a moment after the present one, instead of any that came after it, and go there."""
        while len(self.scenes) > self.position + 1:
            self._bytes -= _size(self._deltas.pop(), self.scenes.pop())
        delta = _difference(self.state, state)
        self._deltas.append(delta)
        self.scenes.append(scene)
        self._bytes += _size(delta, scene)
        self.state = state
        self.position += 1
        while self._bytes > self._most_bytes and self.position > 0:
            self._bytes -= _size(self._deltas.pop(0), self.scenes.pop(0))
            self.position -= 1

    def seek(self, position: int) -> None:
        """Go to one of the moments held, 0 <= position < len(scenes)."""
        first, last = sorted((self.position, position))
        for delta in self._deltas[first:last]:
            self.state = _applied(self.state, delta)
        self.position = position

    def copy(self) -> "Timeline":
        """All up to the present moment; what both hold is in memory once."""
        twin = Timeline(self.state, self.scene, self._most_bytes)
        twin.scenes = self.scenes[: self.position + 1]
        twin._deltas = self._deltas[: self.position]
        twin._bytes = sum(map(_size, twin._deltas, twin.scenes[1:]))
        twin.position = self.position
        return twin


def _difference(one: Arrays, other: Arrays) -> Delta:
    return {
        name: zlib.compress((_bits(one[name]) ^ _bits(other[name])).tobytes(), 1) for name in one
    }


def _applied(state: Arrays, delta: Delta) -> Arrays:
    changed = {}
    for name, array in state.items():
        bits = _bits(array) ^ np.frombuffer(zlib.decompress(delta[name]), np.uint8)
        changed[name] = bits.view(array.dtype).reshape(array.shape)
    return changed


def _bits(array: NDArray) -> NDArray[np.uint8]:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _size(delta: Delta, scene: Scene) -> int:
    truth = 0 if scene.truth is None else scene.truth.frame.nbytes
    return sum(map(len, delta.values())) + scene.frame.nbytes + truth
