"""Write a data set as Minari distributes them: one file that needs no plugin to be read."""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from tqdm import tqdm

from worldmodel_env.data import schema
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.metadata import MINARI_VERSION
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class ExportSummary:
    """What `export_minari` wrote: the folder, episodes, and the size of the file."""

    out: Path
    episodes: int
    bytes: int

    def __str__(self) -> str:
        return f"exported {self.episodes} episodes ({self.bytes / 1e6:.1f} MB): {self.out}"


def export_minari(
    root: Path, out: Path, *, split: str | None = None, progress: bool = True
) -> ExportSummary:
    """Write a data set, or a split of it, for `minari.load_dataset(out.name)`.

    Frames stay lossless, compressed with gzip, which every HDF5 reader has; larger and slower to
    read than this project's own files, which Minari reads too once hdf5plugin is imported.

    Args:
        root: the data set's folder.
        out: a new folder; Minari wants names that end in a version, such as maze-v0.
        split: only these episodes, for Minari knows no splits; all if None.
        progress: show a progress bar.

    Raises:
        InputError: an argument is wrong, an episode cannot be read, or the disk is full; then
            nothing is left.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]+-v\d+", out.name):
        raise InputError(f"{out.name!r} is no name of a Minari data set: end it in -v0 or such")
    if out.exists():
        raise InputError(f"{out} exists: choose another folder, or delete it first")
    dataset = TrajectoryDataset.open(root)
    refs = dataset.episodes(split)
    if not refs:
        raise InputError(f"{root} has no {split} episodes to export")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise InputError(f"cannot write into {out.parent} ({error.strerror})") from error
    try:
        data = partial / schema.DATA
        data.mkdir()
        _write_episodes(dataset, refs, data / schema.LINK_FILE, progress)
        size = (data / schema.LINK_FILE).stat().st_size
        metadata = _metadata(dataset, refs, out.name, size)
        (data / schema.METADATA_FILE).write_text(json.dumps(metadata))
        partial.chmod(0o755)  # mkdtemp's are private
        os.replace(partial, out)
    except OSError as error:
        raise InputError(f"cannot write {out} ({error}): free some space") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        dataset.close()
    return ExportSummary(out, len(refs), size)


def _write_episodes(
    dataset: TrajectoryDataset, refs: list[EpisodeRef], path: Path, progress: bool
) -> None:
    with h5py.File(path, "w") as file:
        bar = tqdm(refs, "exporting", unit="episode", disable=None if progress else True)
        for number, ref in enumerate(bar):
            episode = dataset.read(ref)
            frames = episode.observations
            group = file.create_group(schema.episode_key(number))
            group.create_dataset(
                schema.OBSERVATIONS,
                data=frames,
                chunks=(min(schema.CHUNK, len(frames)), *frames.shape[1:]),
                compression="gzip",
                shuffle=False,
            )
            columns: dict[str, Any] = {
                schema.ACTIONS: episode.actions,
                schema.REWARDS: episode.rewards,
                schema.TERMINATIONS: episode.terminations,
                schema.TRUNCATIONS: episode.truncations,
            }
            if episode.pose is not None:
                columns[schema.POSE] = episode.pose
            for name, values in columns.items():
                group.create_dataset(name, data=values)
            group.attrs.update({**episode.attributes, "id": number})


def _metadata(
    dataset: TrajectoryDataset, refs: list[EpisodeRef], name: str, size: int
) -> dict[str, Any]:
    return {
        "total_episodes": len(refs),
        "total_steps": sum(ref.total_steps for ref in refs),
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": schema.space_to_json(dataset.observation_space),
        "action_space": schema.space_to_json(dataset.action_space),
        "dataset_id": name,
        "minari_version": MINARI_VERSION,
        "dataset_size": round(size / 1e6, 1),
        "description": f"{', '.join(dataset.metadata['simulators'])}: recorded trajectories",
    }
