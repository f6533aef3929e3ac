"""Refuse HDF5 files that would make a reader open files elsewhere on this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import h5py
from h5py import h5d, h5g, h5l, h5o

from worldmodel_env.data import schema
from worldmodel_env.errors import InputError


def check_links(data: Path) -> None:
    """Follow all links of `data/main_data.hdf5`, if there is one.

    Raises:
        InputError: one leads out of the folder, or a file cannot be read.
    """
    pending, seen = [data / schema.LINK_FILE], set()
    while pending:
        path = pending.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        try:
            with h5py.File(path, "r") as file:
                found = targets(file)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error}): download it again") from error
        for target in sorted(found):
            if not is_inside(target):
                raise InputError(
                    f"{path} links to {target}, outside the data set, which is refused: a link "
                    "names a file beside it or below"
                )
            pending.append(path.parent / target)


def is_inside(target: str) -> bool:
    """True if a path in a file leads to the file's folder or below it."""
    return not os.path.isabs(target) and ".." not in Path(target).parts


def targets(file: h5py.File) -> set[str]:
    """Other files that a file refers to, by links or by arrays whose content lies elsewhere."""
    return set(_elsewhere(file.id))


def _elsewhere(group: h5g.GroupID) -> Iterator[str]:
    # h5py's own objects take four times as long, and every new episode file passes here.
    for name in group:
        kind = group.links.get_info(name).type
        if kind == h5l.TYPE_EXTERNAL:
            yield group.links.get_val(name)[0].decode()
        elif kind == h5l.TYPE_HARD:
            item = h5o.open(group, name)
            if isinstance(item, h5g.GroupID):
                yield from _elsewhere(item)
            elif isinstance(item, h5d.DatasetID):
                plan = item.get_create_plist()
                yield from (
                    plan.get_external(i)[0].decode() for i in range(plan.get_external_count())
                )
                if plan.get_layout() == h5d.VIRTUAL:
                    names = {plan.get_virtual_filename(i) for i in range(plan.get_virtual_count())}
                    yield from names - {"."}
