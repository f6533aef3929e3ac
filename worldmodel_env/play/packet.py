"""What the server sends: a JSON header, and after it the bytes of frames or of a file.

One binary message: the header's length (4 bytes, little-endian), the header, the payload. Frames
are raw RGB, all of the size that the welcome names; the header refers to them by their number.
"""

import json
import struct
from typing import Any

import numpy as np

from worldmodel_env.play.scene import Frame, Scene
from worldmodel_env.play.truth import Map
from worldmodel_env.play.walk import Walk


class Packet:
    """A message being put together."""

    def __init__(self, kind: str, **header: Any) -> None:
        """Begin with the header's own fields."""
        self.header: dict[str, Any] = {"type": kind, **header}
        self._frames: list[Frame] = []

    def frame(self, frame: Frame) -> int:
        """Add a frame to the payload; returns its number."""
        self._frames.append(frame)
        return len(self._frames) - 1

    def scene(self, walk: Walk, milliseconds: float | None = None) -> "Packet":
        """Add what is seen now."""
        scene = walk.scene
        self.header["scene"] = {
            **mark(scene),
            "frame": self.frame(scene.frame),
            "first": walk.first,
            "last": walk.last,
            "total": round(scene.total, 4),
            "milliseconds": milliseconds,
        }
        if scene.truth is not None:
            self.header["scene"]["truth"] = {
                "frame": self.frame(scene.truth.frame),
                "reward": scene.truth.reward,
                "ended": scene.truth.ended,
            }
        return self

    def walk(self, walk: Walk) -> "Packet":
        """Add what is seen now and all that the timeline shows."""
        self.header["walk"] = {
            "start": walk.origin.start,
            "seed": walk.origin.seed,
            "map": _map(walk.origin.map),
            "marks": [mark(scene) for scene in walk.timeline.scenes],
        }
        return self.scene(walk)

    def encode(self, payload: bytes | None = None) -> bytes:
        """The message; `payload` takes the place of frames."""
        header = json.dumps(self.header, allow_nan=False, separators=(",", ":")).encode()
        if payload is None:
            payload = b"".join(np.ascontiguousarray(frame).tobytes() for frame in self._frames)
        return struct.pack("<I", len(header)) + header + payload


def mark(scene: Scene) -> dict[str, Any]:
    """What the timeline and the map show of a moment."""
    return {
        "elapsed": scene.elapsed,
        "control": scene.control,
        "reward": round(scene.reward, 4),
        "ended": scene.ended,
        "surprise": None if scene.surprise is None else round(scene.surprise, 4),
        "pose": None if scene.truth is None else scene.truth.pose,
    }


def _map(place: Map | None) -> dict[str, Any] | None:
    if place is None:
        return None
    walls = None if place.walls is None else place.walls.tolist()
    return {"walls": walls, "goal": place.goal, "cell": place.cell}
