"""Films to look at: what was true beside what was predicted."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.protocol import Part

FILE = "examples.npz"
TRUE = "true"
LEAD = 12
"""Frames of the context that are shown before the prediction starts."""


@dataclass(frozen=True)
class Example:
    """One episode as several films of equal length.

    Attributes:
        part: of the protocol.
        episode: its id.
        lead: how many frames of the context the films begin with.
        films: `TRUE` and models by name -> (lead+K, H, W, 3) uint8.
    """

    part: str
    episode: int
    lead: int
    films: Mapping[str, NDArray[np.uint8]]

    @classmethod
    def of(
        cls, part: Part, episode: int, model: str, true: NDArray, predicted: NDArray
    ) -> "Example":
        """A prediction (K, H, W, 3) beside the true clip (C+K, H, W, 3)."""
        lead = min(LEAD, part.context)
        shown = true[part.context - lead :]
        films = {TRUE: shown, model: np.concatenate([shown[:lead], predicted])}
        return cls(part.name, episode, lead, films)


def save_examples(folder: Path, examples: Sequence[Example]) -> None:
    """Write `examples.npz`, from which pages are made again; atomically."""
    arrays = {
        f"{i}|{x.part}|{x.episode}|{x.lead}|{name}": film
        for i, x in enumerate(examples)
        for name, film in x.films.items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    replace_file(folder / FILE, buffer.getvalue())


def load_examples(folder: Path) -> list[Example]:
    """The examples of a report's folder; none if it has no such file.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    found: dict[str, Example] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for key, film in file.items():
                number, part, episode, lead, name = key.split("|", 4)
                films = {**found[number].films, name: film} if number in found else {name: film}
                found[number] = Example(part, int(episode), int(lead), films)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged ({error}); evaluate again.") from None
    return list(found.values())
