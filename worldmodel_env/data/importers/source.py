"""What an importer offers: its episodes by name, and each one's content."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Protocol

from worldmodel_env.data.episode import Episode
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Source:
    """One episode of the set that is imported.

    Attributes:
        name: its place in the set, with "#2" appended for the third part of a file.
        split: train, validation or test as published; None where nothing was.
    """

    name: str
    split: str | None = None

    @property
    def file(self) -> str:
        """The name without the part: parts of a file never lie in different splits."""
        return self.name.partition("#")[0]

    @property
    def part(self) -> int:
        """Which part of the file, from 0."""
        return int(self.name.partition("#")[2] or 0)


_SPLITS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def published_split(path: PurePath) -> str | None:
    """The split that a file's first folder names; None if it names none."""
    return _SPLITS.get(path.parts[0])


class Importer(Protocol):
    """A set that can be imported. Must be picklable: workers get a copy."""

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """What, besides the set itself, decides the content; compared when an import goes on."""
        ...

    def sources(self) -> list[Source]:
        """All episodes, in an order that does not change.

        Raises:
            InputError: this is no set of this format.
        """
        ...

    def load(self, source: Source) -> Episode:
        """One episode, with the attributes simulator, policy, frame_skip and action_space.

        Raises:
            InputError: it cannot be read or is not what the format promises; names the file.
        """
        ...


def natural_order(name: str) -> list[tuple[int, str]]:
    """A sorting key by which 2.npz comes before 10.npz."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def files_of(root: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """Files below `root` with one of these suffixes (lower case), in natural order; no hidden ones.

    Raises:
        InputError: there is nothing at `root`.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give the folder that holds the data set")
    found = [path.relative_to(root) for path in root.rglob("*") if path.suffix.lower() in suffixes]
    visible = [path for path in found if not any(part.startswith(".") for part in path.parts)]
    yield from sorted(visible, key=lambda path: natural_order(path.as_posix()))
