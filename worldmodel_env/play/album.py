"""Walks as videos, and the folder that keeps them."""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.index import scan
from worldmodel_env.data.metadata import write_caches
from worldmodel_env.data.writer import write_episode
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.video import write_video
from worldmodel_env.imagination.world import World
from worldmodel_env.play.controls import Control
from worldmodel_env.play.episodes import imagined_episode, true_episode
from worldmodel_env.play.truth import Simulator
from worldmodel_env.play.walk import Walk

_GAP = 2
"""Pixels between the two views."""


def video(walk: Walk) -> bytes:
    """An mp4 of the walk up to now: what the world showed, and right of it the simulator.

    Raises:
        InputError: PyAV is not installed.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "walk.mp4"
        write_video(path, _film(walk))
        return path.read_bytes()


class Album:
    """The folder of recordings.

        walk-00001.mp4    what was seen
        imagined/         a data set with one episode a walk, as the world showed it
        simulator/        a data set of the same walks in the simulator, with poses

    Attributes:
        folder: made if absent.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder; InputError if it cannot be made."""
        self.folder = folder
        _make(folder)

    def add(
        self, walk: Walk, controls: Sequence[Control], world: World, simulator: Simulator | None
    ) -> list[Path]:
        """Write the walk up to now; returns the files.

        Raises:
            InputError: a walk without a step, a missing package, or a folder that cannot be
                written.
        """
        scenes = walk.scenes
        if len(scenes) == 1:
            raise InputError("there is no step to save yet; walk first.")
        number = self._next_number()
        film = self.folder / f"walk-{number:05d}.mp4"
        write_video(film, _film(walk))
        pressed = [scene.control for scene in scenes if scene.control is not None]
        actions = np.array([controls[c].action for c in pressed[-len(scenes) + 1 :]], np.int64)
        imagined = imagined_episode(walk, number, actions, world)
        written = [film, _write(self.folder / "imagined", imagined)]
        if simulator is not None:
            true = true_episode(walk, number, actions, world, simulator)
            written += [] if true is None else [_write(self.folder / "simulator", true)]
        return written

    def _next_number(self) -> int:
        names = [path.name for path in self.folder.glob("walk-*.mp4")]
        matches = [re.fullmatch(r"walk-(\d+)\.mp4", name) for name in names]
        return max((int(match[1]) for match in matches if match), default=0) + 1


def _film(walk: Walk) -> NDArray[np.uint8]:
    rows = []
    for scene in walk.scenes:
        parts = [scene.frame]
        if scene.truth is not None:
            parts += [np.zeros((len(scene.frame), _GAP, 3), np.uint8), scene.truth.frame]
        rows.append(np.concatenate(parts, 1))
    return np.stack(rows)


def _write(root: Path, episode: Episode) -> Path:
    data = root / schema.DATA
    path = data / schema.episode_file(int(episode.attributes["seed"]))
    _make(path.parent)
    write_episode(path, episode)
    write_caches(data, scan(data))
    return path


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot record into {folder} ({error.strerror}); choose another folder."
        ) from None
