"""The three action-labelled sets of the TECO paper, as published: DMLab, Minecraft, Habitat.

`<SRC>/{train,test}/<worker>/<n>.npz` holds `video` and `actions`; or `<n>.mp4` holds the video and
`<n>.npz` beside it the actions. There are as many actions as frames, and which of the two comes
first differs from set to set.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.importers.npz import read_npz
from worldmodel_env.data.importers.picture import fit_all
from worldmodel_env.data.importers.source import Source, files_of, published_split
from worldmodel_env.data.importers.unrewarded import unrewarded
from worldmodel_env.data.importers.video import read_video
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Facts:
    """How a published set differs from the others.

    Attributes:
        simulator: the environment here that has the same frames and actions.
        policy: the explorer here that acts alike.
        frame_skip: simulator frames per action.
        action_of: "next" where actions[t] is taken after frame t, as everywhere here; "this" where
            it led to frame t, so that the first is a dummy and all move one step ahead.
        first_id: the published number of the first of three actions.
    """

    simulator: str
    policy: str
    frame_skip: int
    action_of: Literal["next", "this"]
    first_id: int


# Choices are left, right, forward in DMLab; forward, left, right in the others, whose zero is no
# action: the dummy before the first frame, or "stop".
FACTS = {
    "teco-dmlab": Facts("SimDMLab-v0", "teco-maze", 4, "next", 0),
    "teco-minecraft": Facts("SimMinecraft-v0", "teco-minecraft", 1, "this", 1),
    "teco-habitat": Facts("SimHabitat-v0", "teco-habitat", 1, "this", 1),
}
CHOICES = 3


@dataclass(frozen=True)
class TecoImporter:
    """Reads a folder of one of the published sets, or a single .npz of it.

    Attributes:
        root: the folder, or the file.
        format: teco-dmlab, teco-minecraft or teco-habitat.
        resolution: side to bring frames to; None leaves the published 64 or 128.
    """

    root: Path
    format: str
    resolution: int | None = None

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """Format and resolution."""
        return {"format": self.format, "resolution": self.resolution}

    @cached_property
    def _folder(self) -> Path:
        return self.root.parent if self.root.is_file() else self.root

    def sources(self) -> list[Source]:
        """Every .mp4, and every .npz that belongs to none; split by the first folder's name."""
        if self.root.is_file():
            return [Source(self.root.name)]
        paths = [PurePosixPath(path) for path in files_of(self.root, frozenset({".npz", ".mp4"}))]
        videos = {path.with_suffix("") for path in paths if path.suffix == ".mp4"}
        episodes = [p for p in paths if p.suffix == ".mp4" or p.with_suffix("") not in videos]
        if not episodes:
            raise InputError(
                f"{self.root} holds no .npz and no .mp4: give the folder with train and test in it"
            )
        return [Source(str(path), published_split(path)) for path in episodes]

    def load(self, source: Source) -> Episode:
        """One episode, its actions moved to this project's time."""
        path = self._folder / source.name
        if path.suffix == ".mp4":
            beside = path.with_suffix(".npz")
            if not beside.exists():
                raise InputError(
                    f"{path} has no {beside.name} with its actions beside it: add it, or import "
                    "videos without actions with --format video-folder"
                )
            arrays = read_npz(beside)
            frames = read_video(path, resolution=self.resolution)
        else:
            arrays = read_npz(path)
            frames = fit_all(_video(arrays, path), self.resolution)
            beside = path
        facts = FACTS[self.format]
        attributes: dict[str, Any] = {
            "simulator": facts.simulator,
            "policy": facts.policy,
            "frame_skip": facts.frame_skip,
            "action_space": schema.space_to_json(spaces.Discrete(CHOICES)),
        }
        if "layout" in arrays:
            attributes["layout"] = str(arrays["layout"])
        pose = arrays.get("pose")
        return unrewarded(
            frames,
            align(_actions(arrays, beside, len(frames)), facts, beside),
            attributes,
            None if pose is None else pose.astype(np.float32),
        )


def align(actions: NDArray[np.int64], facts: Facts, path: Path) -> NDArray[np.int64]:
    """The actions between frames, numbered from 0.

    Args:
        actions: (T+1,) published numbers, one per frame.
        facts: of the set they are from.
        path: named in the error.

    Returns:
        (T,) int64; number t is taken after frame t and leads to frame t+1.

    Raises:
        InputError: a number that the set does not have.
    """
    # The action after the last frame led to a frame that was not kept.
    between = actions[:-1] if facts.action_of == "next" else actions[1:]
    choices = between - facts.first_id
    outside = (choices < 0) | (choices >= CHOICES)
    if outside.any():
        step = int(np.flatnonzero(outside)[0])
        ids = ", ".join(str(facts.first_id + number) for number in range(CHOICES))
        raise InputError(
            f"{path}: action {between[step]} leads to frame {step + 1}, expected one of {ids}: "
            "check --format"
        )
    return choices


def _video(arrays: dict[str, NDArray[Any]], path: Path) -> NDArray[np.uint8]:
    video = arrays.get("video")
    if video is None:
        raise InputError(
            f"{path} holds {', '.join(arrays) or 'nothing'} but no 'video', and no .mp4 of the "
            "same name is beside it: check that the download is complete"
        )
    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[-1] != 3:
        raise InputError(
            f"{path}: 'video' is {video.dtype} {video.shape}, expected uint8 (T, H, W, 3)"
        )
    return video


def _actions(arrays: dict[str, NDArray[Any]], path: Path, frames: int) -> NDArray[np.int64]:
    actions = arrays.get("actions")
    if actions is None:
        raise InputError(
            f"{path} holds {', '.join(arrays) or 'nothing'} but no 'actions': import videos "
            "without actions with --format video-folder"
        )
    if not np.issubdtype(actions.dtype, np.integer) or actions.shape != (frames,):
        raise InputError(
            f"{path}: 'actions' is {actions.dtype} {actions.shape}, expected integers ({frames},), "
            "one per frame of the video"
        )
    return actions.astype(np.int64)
