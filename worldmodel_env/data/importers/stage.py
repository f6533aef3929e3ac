"""Where imported episodes gather until all are there, and how they join the data set."""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import h5py

from worldmodel_env.data import schema
from worldmodel_env.data.importers.splits import Job
from worldmodel_env.data.index import EpisodeRow, FileRow, scan
from worldmodel_env.data.metadata import write_caches
from worldmodel_env.data.writer import remove_abandoned
from worldmodel_env.errors import InputError

FOLDER = ".importing"


class Stage:
    """The folder `.importing` of a data set; one import at a time uses it.

    Attributes:
        data: the data set's `data` folder; need not exist.
        root: where episodes gather, in the layout of `data`.
        present: seeds of the import that the data set holds already.
        staged: seeds of the import that an interrupted run left here.
    """

    def __init__(self, out: Path, jobs: Mapping[int, Job], settings: str) -> None:
        """Look at what is there.

        Args:
            out: the data set's folder.
            jobs: what is imported, by seed.
            settings: of the importer, as they stand in the episodes' attributes.

        Raises:
            InputError: `out` holds other episodes under these seeds, or cannot be written.
        """
        self.data, self.root = out / schema.DATA, out / FOLDER
        there = scan(self.data).episodes()
        self.present, conflict = _compare(self.data, there, jobs, settings)
        if conflict:
            raise InputError(f"{out} {conflict}: use another --seed, or another folder")
        remove_abandoned(self.root / schema.EPISODES)
        left = scan(self.root).episodes()
        self.staged, conflict = _compare(self.root, left, jobs, settings)
        if conflict or len(self.staged) < len(left):
            shutil.rmtree(self.root)  # left by an interrupted import of something else
            self.staged, left = set(), []
        self._first: tuple[str, tuple[int, int, str]] | None = None
        if found := there or left:
            file, row = found[0]
            name, _ = _origin(self.data if there else self.root, file, row)
            self._first = (name or str(out), (row.height, row.width, row.action_space))

    def path(self, seed: int) -> Path:
        """Where the episode of `seed` gathers."""
        return self.root / schema.episode_file(seed)

    def open(self) -> None:
        """Make the folder; InputError if that is not possible."""
        folder = self.root / schema.EPISODES
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot make the folder {folder} ({error.strerror}): choose another one"
            ) from error

    def accept(self, job: Job, height: int, width: int, actions: str) -> None:
        """Leave an episode in the stage if its spaces are those of the others.

        Raises:
            InputError: they are not; the episode is no longer staged.
        """
        name, (first_height, first_width, first_actions) = self._first = self._first or (
            job.source.name,
            (height, width, actions),
        )
        if (height, width) != (first_height, first_width):
            self.path(job.seed).unlink()
            raise InputError(
                f"{job.source.name} has frames of {height} x {width} pixels but {name} of "
                f"{first_height} x {first_width}: give --resolution to make them equal"
            )
        if actions != first_actions:
            self.path(job.seed).unlink()
            raise InputError(
                f"{job.source.name} has the action space {actions} but {name} has "
                f"{first_actions}: keep them in two data sets"
            )

    def publish(self) -> None:
        """Move all episodes into the data set; killed midway, the next import goes on."""
        if not self.data.exists():
            os.replace(self.root, self.data)
        else:
            (self.data / schema.EPISODES).mkdir(exist_ok=True)
            for path in sorted((self.root / schema.EPISODES).iterdir()):
                with suppress(FileNotFoundError):  # moved by another import of the same
                    os.replace(path, self.data / schema.EPISODES / path.name)
            shutil.rmtree(self.root)
        write_caches(self.data, scan(self.data))


def _compare(
    folder: Path,
    episodes: Sequence[tuple[FileRow, EpisodeRow]],
    jobs: Mapping[int, Job],
    settings: str,
) -> tuple[set[int], str]:
    """Seeds of `jobs` in `folder`, and in words what else it holds under one of these seeds."""
    found: set[int] = set()
    for file, row in episodes:
        if (job := jobs.get(row.seed)) is None:
            continue
        source, made_with = _origin(folder, file, row)
        if (source, made_with) != (job.source.name, settings):
            return found, (
                f"holds as seed {row.seed} an episode of {source or row.simulator} "
                f"({made_with or 'recorded'}), not of {job.source.name} ({settings})"
            )
        found.add(row.seed)
    return found, ""


def _origin(folder: Path, file: FileRow, row: EpisodeRow) -> tuple[str, str]:
    """What an episode was imported from and with which settings; empty if it was recorded."""
    with h5py.File(folder / file.file, "r") as content:
        attributes = content[row.key].attrs
        return str(attributes.get("source", "")), str(attributes.get("import", ""))
