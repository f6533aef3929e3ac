"""Which split and seed each imported episode gets: by what was published, else by a fixed rule."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from worldmodel_env.data import schema
from worldmodel_env.data.importers.source import Source
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Shares:
    """Held-out shares of what was published without a split, or without that split.

    A published split stays. Of the other files, and of the published training files where there
    is no validation split, the files with the lowest sha256 of "<seed>/<name>" are held out: it
    depends on nothing but the names.

    Attributes:
        validation: share of the files, 0 to below 1; at least one file unless it is 0.
        test: likewise; only of files published without a split.
        seed: another one holds out other files.
    """

    validation: float = 0.05
    test: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Job:
    """An episode to import: where from, into which split, under which seed."""

    source: Source
    split: str
    seed: int


def assign(sources: Sequence[Source], shares: Shares, first: int = 0) -> list[Job]:
    """Give each source its split and seed, numbered within the split in the order of `sources`.

    Args:
        sources: as the importer lists them.
        shares: of what is held out where no split was published.
        first: the first number in each split.

    Raises:
        InputError: shares that leave nothing to train on, or too many episodes.
    """
    for name in ("validation", "test"):
        if not 0 <= getattr(shares, name) < 1:
            raise InputError(f"--{name} is {getattr(shares, name):g}: give a share from 0 to 1")
    split = _splits(sources, shares)
    jobs, counts = [], dict.fromkeys(schema.SPLITS, first)
    for source in sources:
        mine = split[source.file]
        jobs.append(Job(source, mine, schema.SEED_BASE[mine] + counts[mine]))
        counts[mine] += 1
    if first < 0 or max(counts.values()) > schema.SEEDS_PER_SPLIT:
        raise InputError(
            f"{len(sources)} episodes from seed {first} leave a split's range of "
            f"{schema.SEEDS_PER_SPLIT}: import part of them, or from a lower seed"
        )
    return jobs


def _splits(sources: Sequence[Source], shares: Shares) -> dict[str, str]:
    """Split of each file."""
    published = {source.file: source.split for source in sources}
    free = [file for file, split in published.items() if split is None]
    splits = {file: split or "train" for file, split in published.items()}
    held = _draw(free, shares.test, shares.seed)
    splits.update(dict.fromkeys(held, "test"))
    if "validation" not in published.values():
        rest = [file for file, split in splits.items() if split == "train"]
        splits.update(dict.fromkeys(_draw(rest, shares.validation, shares.seed), "validation"))
    if free and "train" not in splits.values():
        raise InputError(
            f"{len(splits)} files are too few to hold out some: give --validation 0 --test 0"
        )
    return splits


def _draw(files: Sequence[str], share: float, seed: int) -> list[str]:
    """The share's files: those whose hash is lowest."""
    count = max(round(share * len(files)), 1) if share and files else 0
    ranked = sorted(files, key=lambda file: hashlib.sha256(f"{seed}/{file}".encode()).digest())
    return ranked[:count]
