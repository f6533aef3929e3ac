"""LeRobot data sets, versions 2.x and 3.x: parquet tables with videos or images."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.importers.lerobot_meta import EpisodeMeta, Meta, read_meta, read_table
from worldmodel_env.data.importers.picture import fit
from worldmodel_env.data.importers.source import Source
from worldmodel_env.data.importers.video import read_video
from worldmodel_env.errors import InputError

_MARGIN = 1e-3
"""Share of their range by which the bounds of actions are wider than the values found."""


@dataclass(frozen=True)
class LeRobotImporter:
    """Reads a LeRobot data set from its folder.

    Each row is a frame with the action taken after it. The frame after the last action was not
    recorded, so that this action, its reward and its end are left out.

    Attributes:
        root: the folder that holds `meta/info.json`.
        resolution: side to bring frames to; None leaves them.
        camera: name of the image column, where there are several.
    """

    root: Path
    resolution: int | None = None
    camera: str | None = None

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """Format, resolution and camera."""
        return {"format": "lerobot", "resolution": self.resolution, "camera": self.camera}

    def sources(self) -> list[Source]:
        """Every episode, by its number."""
        meta = read_meta(self.root)
        self._camera(meta)
        _action_space(meta, self.root)
        return [Source(f"episode_{i}", meta.split(i)) for i in sorted(meta.episodes)]

    def load(self, source: Source) -> Episode:
        """One episode."""
        meta = read_meta(self.root)
        found = meta.episodes[int(source.name.rpartition("_")[2])]
        space = _action_space(meta, self.root)
        camera = self._camera(meta)
        rewarded = "next.reward" in meta.features
        in_table = meta.features[camera]["dtype"] == "image"
        columns = ["action", *["next.reward"] * rewarded, *[camera] * in_table]
        rows = read_table(found.table, columns, found.index)
        if in_table:
            frames = np.stack([self._image(row[camera], found) for row in rows])
        else:
            path, start = found.videos[camera]
            frames = read_video(path, resolution=self.resolution, start=start, frames=found.length)
        if not len(rows) == len(frames) == found.length >= 2:
            raise InputError(
                f"{found.table}, episode {found.index} has {len(rows)} rows and {len(frames)} "
                f"frames, expected {found.length} of both and at least 2: download it again"
            )
        steps = len(rows) - 1
        dtype = np.float32 if isinstance(space, spaces.Box) else np.int64
        actions = np.array([row["action"] for row in rows[:-1]], dtype)
        rewards = [np.float32(np.squeeze(row["next.reward"])) for row in rows[:-1] if rewarded]
        return Episode(
            observations=frames,
            actions=actions.reshape(steps, *(space.shape or ())),
            rewards=np.array(rewards if rewarded else np.zeros(steps), np.float32),
            terminations=np.zeros(steps, np.bool_),
            truncations=np.arange(steps) == steps - 1,
            attributes={
                "simulator": str(meta.info.get("robot_type") or "robot"),
                "policy": "lerobot",
                "task": found.task,
                "frame_skip": 1,
                "action_space": schema.space_to_json(space),
            },
        )

    def _camera(self, meta: Meta) -> str:
        wanted = [name for name in meta.cameras if self.camera in (None, name)]
        if len(wanted) != 1:
            raise InputError(
                f"{self.root} has the cameras {', '.join(meta.cameras) or '(none)'}: give one of "
                "them as --camera"
            )
        return wanted[0]

    def _image(self, value: dict[str, Any], found: EpisodeMeta) -> NDArray[np.uint8]:
        try:
            from PIL import Image, UnidentifiedImageError
        except ModuleNotFoundError as error:
            raise InputError(
                'reading images needs Pillow: pip install "worldmodel-env[train]"'
            ) from error
        try:
            image = Image.open(io.BytesIO(value["bytes"])).convert("RGB")
        except (UnidentifiedImageError, OSError, TypeError) as error:
            raise InputError(
                f"{found.table}, episode {found.index} holds an image that does not decode "
                f"({error}): download it again"
            ) from error
        return fit(np.asarray(image), self.resolution)


def _action_space(meta: Meta, root: Path) -> schema.ActionSpace:
    """The space that just holds the actions found."""
    feature = meta.features["action"]
    dtype, shape = str(feature["dtype"]), list(feature["shape"])
    if len(shape) == 1 and dtype.startswith("float"):
        span = meta.high - meta.low
        margin = np.where(span > 0, _MARGIN * span, 1.0)  # a model needs bounds that differ
        low, high = meta.low - margin, meta.high + margin
        return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
    if len(shape) == 1 and dtype.startswith("int") and (meta.low >= 0).all():
        counts = meta.high.astype(np.int64) + 1
        return spaces.Discrete(int(counts[0])) if shape == [1] else spaces.MultiDiscrete(counts)
    raise InputError(
        f"{root} has actions of {dtype} {shape}: only vectors of numbers, and of integers from 0, "
        "can be imported"
    )
