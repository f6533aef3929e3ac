"""What a LeRobot data set's `meta` folder says: versions 2.x (a file per episode) and 3.x."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.links import is_inside
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class EpisodeMeta:
    """Where one episode lies.

    Attributes:
        index: its number.
        length: rows, each a frame with the action taken after it.
        task: what was asked of the robot.
        table: its parquet file.
        videos: the video file and the second at which the episode begins, by camera.
    """

    index: int
    length: int
    task: str
    table: Path
    videos: dict[str, tuple[Path, float]]


@dataclass(frozen=True)
class Meta:
    """A data set's description.

    Attributes:
        info: content of `meta/info.json`.
        episodes: by number.
        low: smallest action, (k,).
        high: largest action, (k,).
    """

    info: dict[str, Any]
    episodes: dict[int, EpisodeMeta]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """dtype and shape of each column."""
        return self.info["features"]

    @property
    def cameras(self) -> list[str]:
        """Names of the image columns."""
        return [name for name, f in self.features.items() if f["dtype"] in ("video", "image")]

    def split(self, index: int) -> str | None:
        """The published split of an episode; None if all are called train."""
        ranges = self.info.get("splits") or {}
        if set(ranges) <= {"train"}:
            return None
        for name, text in ranges.items():
            first, _, end = str(text).partition(":")
            if int(first) <= index < int(end):
                return {"val": "validation"}.get(name, name)
        return None


@lru_cache(maxsize=1)
def read_meta(root: Path) -> Meta:
    """Read `meta`.

    Raises:
        InputError: it is no LeRobot data set, of another version, or names files outside itself.
    """
    path = root / "meta" / "info.json"
    if not path.is_file():
        raise InputError(f"{root} is no LeRobot data set: expected {path}")
    try:
        info = json.loads(path.read_text())
        version = str(info["codebase_version"]).removeprefix("v")
        for template in (info["data_path"], info.get("video_path") or ""):
            if not is_inside(template):
                raise InputError(
                    f"{path} names the files {template}, outside the data set, which is refused"
                )
        if "action" not in info["features"]:
            raise InputError(
                f"{root} has no actions (only {', '.join(info['features'])}): import its videos "
                "with --format video-folder"
            )
        match version.partition(".")[0]:
            case "2":
                episodes = list(_episodes_2(root, info))
                low, high = _bounds_2(root)
            case "3":
                episodes = list(_episodes_3(root, info))
                low, high = _bounds(json.loads((root / "meta/stats.json").read_text()))
            case _:
                raise InputError(
                    f"{root} is a LeRobot data set of version {version}: convert it to 2.1 or 3.0"
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{root / 'meta'} cannot be read ({error!r}): download it again") from None
    return Meta(info, {episode.index: episode for episode in episodes}, low, high)


def _episodes_2(root: Path, info: dict[str, Any]) -> Iterator[EpisodeMeta]:
    for row in _json_lines(root / "meta" / "episodes.jsonl"):
        index = int(row["episode_index"])
        names = {"episode_index": index, "episode_chunk": index // int(info["chunks_size"])}
        yield EpisodeMeta(
            index,
            int(row["length"]),
            "; ".join(row.get("tasks") or []),
            root / info["data_path"].format(**names),
            {
                key: (root / info["video_path"].format(**names, video_key=key), 0.0)
                for key in _videos(info)
            },
        )


def _episodes_3(root: Path, info: dict[str, Any]) -> Iterator[EpisodeMeta]:
    tables = sorted((root / "meta" / "episodes").rglob("*.parquet"))
    if not tables:
        raise InputError(f"{root / 'meta' / 'episodes'} holds no tables: download it again")
    for path in tables:
        wanted = ["episode_index", "length", "tasks", "data/chunk_index", "data/file_index"]
        for key in _videos(info):
            wanted += [f"videos/{key}/{n}" for n in ("chunk_index", "file_index", "from_timestamp")]
        for row in read_table(path, wanted):
            yield EpisodeMeta(
                int(row["episode_index"]),
                int(row["length"]),
                "; ".join(row["tasks"] or []),
                root / info["data_path"].format(**_file(row, "data")),
                {
                    key: (
                        root
                        / info["video_path"].format(video_key=key, **_file(row, f"videos/{key}")),
                        float(row[f"videos/{key}/from_timestamp"]),
                    )
                    for key in _videos(info)
                },
            )


def read_table(path: Path, columns: list[str], episode: int | None = None) -> list[dict[str, Any]]:
    """Rows of a parquet file, or of one episode in it; InputError if it cannot be read."""
    try:
        from pyarrow import ArrowException, parquet
    except ModuleNotFoundError as error:
        raise InputError(
            'reading LeRobot data sets needs pyarrow: pip install "worldmodel-env[lerobot]"'
        ) from error
    filters = None if episode is None else [("episode_index", "=", episode)]
    try:
        return parquet.read_table(path, columns=columns, filters=filters).to_pylist()
    except (OSError, ArrowException) as error:
        raise InputError(f"{path} cannot be read ({error}): download it again") from error


def _videos(info: dict[str, Any]) -> list[str]:
    return [name for name, feature in info["features"].items() if feature["dtype"] == "video"]


def _file(row: dict[str, Any], of: str) -> dict[str, int]:
    return {name: int(row[f"{of}/{name}"]) for name in ("chunk_index", "file_index")}


def _bounds_2(root: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of version 2.0 from stats.json, of 2.1 from each episode's."""
    if (root / "meta" / "stats.json").exists():
        return _bounds(json.loads((root / "meta" / "stats.json").read_text()))
    rows = _json_lines(root / "meta" / "episodes_stats.jsonl")
    lows, highs = zip(*(_bounds(row["stats"]) for row in rows), strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _bounds(stats: dict[str, Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    action = stats["action"]
    return np.atleast_1d(action["min"]).astype(float), np.atleast_1d(action["max"]).astype(float)


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
