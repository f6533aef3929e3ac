"""Folders of videos without actions, as Kinetics comes: `<SRC>/{train,val,test}/<class>/*.mp4`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gymnasium import spaces

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.importers.source import Source, files_of, published_split
from worldmodel_env.data.importers.unrewarded import unrewarded
from worldmodel_env.data.importers.video import SUFFIXES, duration, read_video
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class VideoFolderImporter:
    """Reads every video below a folder.

    An action space of one action stands for "time passes": the model then learns a constant
    vector in the actions' place, as the paper's does where a set has no actions.

    Attributes:
        root: the folder.
        resolution: side to bring frames to; None keeps the videos' own.
        rate: frames per second; None takes all frames.
        length: frames per episode, into which videos are cut; None takes whole videos.
    """

    root: Path
    resolution: int | None = None
    rate: float | None = None
    length: int | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and not self.rate > 0:
            raise InputError(f"--rate is {self.rate}: give frames per second above 0")
        if self.length is not None and self.length < 2:
            raise InputError(f"--length is {self.length}: give 2 frames or more")
        if self.length is not None and self.rate is None:
            raise InputError(f"--length {self.length} needs --rate, by which a video is cut")

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """Everything but the folder."""
        return {
            "format": "video-folder",
            "resolution": self.resolution,
            "rate": self.rate,
            "length": self.length,
        }

    def sources(self) -> list[Source]:
        """Every video, or each of its parts; a rest of up to two frames is none."""
        paths = list(files_of(self.root, SUFFIXES))
        if not paths:
            raise InputError(
                f"{self.root} holds no videos ({', '.join(sorted(SUFFIXES))}): give their folder"
            )
        return [
            Source(f"{path.as_posix()}#{part}" if part else path.as_posix(), published_split(path))
            for path in paths
            for part in range(self._parts(self.root / path))
        ]

    def load(self, source: Source) -> Episode:
        """One video, or one part of it."""
        start = 0.0
        if self.length is not None and self.rate is not None:
            # Parts share a frame: every transition of the video is in one of them.
            start = source.part * (self.length - 1) / self.rate
        frames = read_video(
            self.root / source.file,
            resolution=self.resolution,
            rate=self.rate,
            start=start,
            frames=self.length,
        )
        if len(frames) < 2:
            raise InputError(
                f"{self.root / source.file} has {len(frames)} frame from {start:g} s on, an "
                "episode has 2 or more: leave it out"
            )
        attributes = {
            "simulator": "video",
            "policy": "none",
            "frame_skip": 1,
            "action_space": schema.space_to_json(spaces.Discrete(1)),
        }
        return unrewarded(frames, np.zeros(len(frames) - 1, np.int64), attributes)

    def _parts(self, path: Path) -> int:
        if self.length is None or self.rate is None:
            return 1
        try:
            steps = int(duration(path) * self.rate + 0.5) - 1
        except InputError:
            return 1  # loading it says what is wrong, or leaves it out on request
        whole, rest = divmod(steps, self.length - 1)
        return max(1, whole + (rest >= 2))  # durations are not exact to a frame
