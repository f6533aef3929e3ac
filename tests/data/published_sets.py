"""Small sets in the layouts that others publish, for the importers' tests."""

import json
from pathlib import Path

import av
import numpy as np

from worldmodel_env.data.episode import Episode


def write_film(
    path: Path, frames: np.ndarray, fps: int = 20, codec: str = "libx264", quality: str = "0"
) -> None:
    """A video file; H.264 in yuv444p is close to lossless."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"crf": quality} if codec == "libx264" else {}
        stream = container.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p" if codec == "libx264" else "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def moving_square(count: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Frames (count, height, width, 3) whose number can be read from the brightness of a square."""
    frames = np.zeros((count, height, width, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:] = 20
        middle = slice(height // 2 - 12, height // 2 + 12), slice(width // 2 - 12, width // 2 + 12)
        frame[middle] = 40 + 3 * number
    return frames


def number_of(frame: np.ndarray) -> float:
    """Which frame of `moving_square` this is."""
    height, width = frame.shape[:2]
    inside = frame[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4]
    return (float(inside.mean()) - 40) / 3


def write_dmlab(root: Path, episodes: dict[str, Episode]) -> None:
    """As DMLab-40k: actions[t] follows frame t, so the last frame's is there too."""
    for name, episode in episodes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            video=episode.observations[:-1],  # the last frame was never stored
            actions=episode.actions.astype(np.int64),
            pose=episode.pose[:-1],
        )


def write_minecraft(root: Path, episodes: dict[str, Episode]) -> None:
    """As Minecraft-200k: actions[t] led to frame t, the first is a dummy, ids begin at 1."""
    ids = np.array([2, 3, 1])  # left, right, forward
    for name, episode in episodes.items():
        write_film(root / f"{name}.mp4", episode.observations)
        actions = np.concatenate([[0], ids[episode.actions]]).astype(np.int32)
        np.savez(root / f"{name}.npz", actions=actions)


def write_lerobot_2(root: Path, films: list[np.ndarray], fps: int = 10) -> None:
    """LeRobot 2.1: a table and a video per episode, statistics per episode."""
    from pyarrow import Table, parquet

    meta = root / "meta"
    meta.mkdir(parents=True)
    rows, stats = [], []
    for index, film in enumerate(films):
        table = lerobot_rows(index, len(film))
        path = root / f"data/chunk-000/episode_{index:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(Table.from_pylist(table), path)
        write_film(root / f"videos/chunk-000/eye/episode_{index:06d}.mp4", film, fps)
        rows.append({"episode_index": index, "tasks": ["lift"], "length": len(film)})
        actions = np.array([row["action"] for row in table])
        spread = {"min": actions.min(0).tolist(), "max": actions.max(0).tolist()}
        stats.append({"episode_index": index, "stats": {"action": spread}})
    for name, lines in (("episodes", rows), ("episodes_stats", stats)):
        (meta / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (meta / "info.json").write_text(
        json.dumps(
            {
                **lerobot_info(films, fps),
                "codebase_version": "v2.1",
                "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
                "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/"
                "episode_{episode_index:06d}.mp4",
            }
        )
    )


def write_lerobot_3(root: Path, films: list[np.ndarray], fps: int = 10) -> None:
    """LeRobot 3.0: all episodes in one table and one video."""
    from pyarrow import Table, parquet

    tables, rows, begin = [], [], 0
    for index, film in enumerate(films):
        tables += lerobot_rows(index, len(film))
        rows.append(
            {
                "episode_index": index,
                "length": len(film),
                "tasks": ["lift"],
                "data/chunk_index": 0,
                "data/file_index": 0,
                "videos/eye/chunk_index": 0,
                "videos/eye/file_index": 0,
                "videos/eye/from_timestamp": begin / fps,
                "videos/eye/to_timestamp": (begin + len(film)) / fps,
            }
        )
        begin += len(film)
    for path, content in (("data", tables), ("meta/episodes", rows)):
        folder = root / path / "chunk-000"
        folder.mkdir(parents=True)
        parquet.write_table(Table.from_pylist(content), folder / "file-000.parquet")
    write_film(root / "videos/eye/chunk-000/file-000.mp4", np.concatenate(films), fps)
    actions = np.array([row["action"] for row in tables])
    spread = {"min": actions.min(0).tolist(), "max": actions.max(0).tolist()}
    (root / "meta" / "stats.json").write_text(json.dumps({"action": spread}))
    (root / "meta" / "info.json").write_text(
        json.dumps(
            {
                **lerobot_info(films, fps),
                "codebase_version": "v3.0",
                "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
                "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/"
                "file-{file_index:03d}.mp4",
            }
        )
    )


def lerobot_rows(index: int, count: int) -> list[dict]:
    """Rows of an episode; the action after frame t is (t, -t)."""
    return [
        {
            "action": [float(t), -float(t)],
            "next.reward": float(t),
            "episode_index": index,
            "frame_index": t,
        }
        for t in range(count)
    ]


def lerobot_info(films: list[np.ndarray], fps: int) -> dict:
    return {
        "robot_type": "arm",
        "fps": fps,
        "chunks_size": 1000,
        "total_episodes": len(films),
        "splits": {"train": f"0:{len(films)}"},
        "features": {
            "eye": {"dtype": "video", "shape": list(films[0].shape[1:])},
            "action": {"dtype": "float32", "shape": [2]},
            "next.reward": {"dtype": "float32", "shape": [1]},
        },
    }
