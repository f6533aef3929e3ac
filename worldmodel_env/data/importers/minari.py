"""Minari data sets whose observations are images, or hold some."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hdf5plugin  # noqa: F401  (sets that this project wrote are compressed with zstd)
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.importers.picture import fit_all
from worldmodel_env.data.importers.source import Source
from worldmodel_env.data.links import check_links
from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from minari import MinariDataset


@dataclass(frozen=True)
class MinariImporter:
    """Reads a Minari data set from its folder.

    Minari's time is this project's: T actions, T+1 observations.

    Attributes:
        root: the folder that holds `data/metadata.json`.
        resolution: side to bring frames to; None leaves them.
        camera: key of the images in observations that hold several.
    """

    root: Path
    resolution: int | None = None
    camera: str | None = None

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """Format, resolution and camera."""
        return {"format": "minari", "resolution": self.resolution, "camera": self.camera}

    def sources(self) -> list[Source]:
        """Every episode, by its number."""
        dataset = _open(self.root)
        self._image_key(dataset.observation_space)
        _action_space(dataset.action_space, self.root)
        return [Source(f"episode_{number}") for number in dataset.episode_indices]

    def load(self, source: Source) -> Episode:
        """One episode; the end of its recording is its truncation if nothing else ended it."""
        dataset = _open(self.root)
        number = int(source.name.rpartition("_")[2])
        try:
            theirs = next(iter(dataset.iterate_episodes([number])))
        except (OSError, KeyError, RuntimeError, ValueError, AssertionError) as error:
            raise InputError(
                f"{self.root}, {source.name} cannot be read ({error}): download it again"
            ) from error
        key = self._image_key(dataset.observation_space)
        frames = theirs.observations if key is None else theirs.observations[key]
        space = _action_space(dataset.action_space, self.root)
        actions = np.asarray(
            theirs.actions, np.float32 if isinstance(space, spaces.Box) else np.int64
        )
        terminations = np.asarray(theirs.terminations, np.bool_)
        truncations = np.asarray(theirs.truncations, np.bool_).copy()
        truncations[-1] |= not terminations[-1]
        env_spec = dataset.env_spec
        return Episode(
            observations=fit_all(np.asarray(frames), self.resolution),
            actions=actions,
            rewards=np.asarray(theirs.rewards, np.float32),
            terminations=terminations,
            truncations=truncations,
            pose=_pose(theirs.infos, len(frames)),
            attributes={
                "simulator": env_spec.id if env_spec else dataset.id,
                "policy": "minari",
                "frame_skip": 1,
                "action_space": schema.space_to_json(space),
            },
        )

    def _image_key(self, space: spaces.Space) -> str | None:
        """Key of the images in an observation; None if it is an image itself."""
        if _is_image(space) and self.camera is None:
            return None
        images = list(_images(space))
        wanted = [key for key in images if self.camera in (None, key)]
        if len(wanted) != 1:
            raise InputError(
                f"{self.root} observes {space}: give --camera with one of "
                f"{', '.join(images) or 'its uint8 (H, W, 3) images, of which it has none'}"
            )
        return wanted[0]


@lru_cache(maxsize=1)
def _open(root: Path) -> "MinariDataset":
    try:
        import minari
    except ModuleNotFoundError as error:
        raise InputError(
            'importing from Minari needs it: pip install "worldmodel-env[minari]"'
        ) from error
    data = root / schema.DATA
    if not (data / schema.METADATA_FILE).is_file():
        raise InputError(
            f"{root} is no Minari data set: expected {data / schema.METADATA_FILE} in it"
        )
    check_links(data)
    try:
        return minari.MinariDataset(data)
    except Exception as error:  # of many kinds, for there is no schema that Minari checks
        raise InputError(f"{root} cannot be read by Minari ({error!r})") from error


def _is_image(space: spaces.Space) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[-1] == 3
    )


def _images(space: spaces.Space) -> Iterator[str]:
    if isinstance(space, spaces.Dict):
        yield from (key for key, part in space.spaces.items() if _is_image(part))


def _action_space(space: spaces.Space, root: Path) -> schema.ActionSpace:
    match space:
        case spaces.Discrete():
            return space
        case spaces.MultiDiscrete(shape=(_,)):
            return space
        case spaces.Box(shape=(_,)):
            low, high = space.low.astype(np.float32), space.high.astype(np.float32)
            return spaces.Box(low, high, dtype=np.float32)
    raise InputError(
        f"{root} has the action space {space}: only Discrete, and MultiDiscrete and Box of one "
        "dimension, can be imported"
    )


def _pose(infos: dict[str, Any] | None, frames: int) -> NDArray[np.float32] | None:
    pose = (infos or {}).get("pose")
    if not isinstance(pose, np.ndarray) or pose.shape != (frames, 3):
        return None
    return pose.astype(np.float32)
