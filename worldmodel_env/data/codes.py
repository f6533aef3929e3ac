"""A split of a data set as code grids: 60 times smaller than frames.

One safetensors file, read through the memory map: what a training touches is in memory, and a set
larger than the memory trains as well.
"""

import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError

COLUMNS = ("codes", "actions", "rewards", "terminations")


@dataclass(frozen=True)
class CodeStore:
    """All episodes of a split, end to end; F frames in E episodes.

    Attributes:
        codes: (F, g, g) uint16.
        actions: (F,) or (F, k); row f is the action taken after frame f, zero after a last frame.
        rewards: (F,) float32 of that action's transition.
        terminations: (F,) bool of that action's transition.
        starts: (E+1,) int64; episode i is frames starts[i] .. starts[i+1]-1.
        key: what the codes were made of: hashes of the data and of the tokenizer.
        episodes: (E, 32) uint8, a hash of each episode; (0, 32) where they are not known.
    """

    codes: NDArray[np.uint16]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    terminations: NDArray[np.bool_]
    starts: NDArray[np.int64]
    key: dict[str, str]
    episodes: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 32), np.uint8))

    @classmethod
    def load(cls, path: Path, key: dict[str, str]) -> "CodeStore | None":
        """Map a whole file made of what `key` names, be it all or a part; None if there is none."""
        found = _map(path, key, "r")
        return None if found is None else _store(*found)

    def columns(self, episode: int) -> dict[str, NDArray[Any]]:
        """An episode's rows of all arrays, as `CodeWriter.put` takes them."""
        rows = slice(self.starts[episode], self.starts[episode + 1])
        return {name: getattr(self, name)[rows] for name in COLUMNS}


class CodeWriter:
    """A store that is being filled; a killed process loses no finished episode.

    Until the last episode is there the file has another name, under which the next writer finds it.
    """

    def __init__(
        self,
        path: Path,
        key: dict[str, str],
        starts: NDArray[np.int64],
        grid: int,
        action: tuple[tuple[int, ...], np.dtype],
        episodes: NDArray[np.uint8],
    ) -> None:
        """Go on with the unfinished file for `path` that is made of `key`, or begin one.

        Args:
            path: the finished store.
            key: what the codes are made of.
            starts: (E+1,) as in `CodeStore`.
            grid: side of a code grid.
            action: shape and dtype of one action.
            episodes: (E, 32) uint8 as in `CodeStore`.

        Raises:
            InputError: there is no room for the file.
        """
        self.path, self.starts = path, starts
        self._partial = path.with_name(f".{path.name}.partial")
        if (found := _map(self._partial, key, "r+")) is None:
            frames, (shape, dtype) = int(starts[-1]), action
            _allocate(
                self._partial,
                key,
                {
                    "codes": ("uint16", (frames, grid, grid)),
                    "actions": (dtype.name, (frames, *shape)),
                    "rewards": ("float32", (frames,)),
                    "terminations": ("bool", (frames,)),
                    "starts": ("int64", starts.shape),
                    "episodes": ("uint8", episodes.shape),
                    "done": ("bool", (len(starts) - 1,)),
                },
            )
            found = _map(self._partial, key, "r+")
            assert found is not None
            found[0]["starts"][:] = starts
            found[0]["episodes"][:] = episodes
        self._arrays, self.key = found

    @property
    def missing(self) -> list[int]:
        """Numbers of the episodes that are not there yet."""
        return np.flatnonzero(~self._arrays["done"]).tolist()

    def put(self, episode: int, **columns: NDArray[Any]) -> None:
        """Store an episode's T+1 codes and T actions, rewards and terminations."""
        first = self.starts[episode]
        for name, values in columns.items():
            self._arrays[name][first : first + len(values)] = values
        self._arrays["done"][episode] = True

    def finish(self) -> CodeStore:
        """Give the file its name; every episode is there."""
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        os.replace(self._partial, self.path)
        found = _map(self.path, self.key, "r")
        assert found is not None
        return _store(*found)


# safetensors' names of the types; its own writer needs all content in memory at once.
_NAMES = {
    "uint8": "U8",
    "uint16": "U16",
    "bool": "BOOL",
    "int64": "I64",
    "float32": "F32",
    "float64": "F64",
}
_TYPES = {name: dtype for dtype, name in _NAMES.items()}
_ZEROS = 1 << 24


def _store(arrays: dict[str, NDArray[Any]], key: dict[str, str]) -> CodeStore:
    # Files of before this was written have no "episodes".
    names = [name for name in (*COLUMNS, "starts", "episodes") if name in arrays]
    return CodeStore(**{name: np.asarray(arrays[name]) for name in names}, key=key)


def _allocate(
    path: Path, key: dict[str, str], arrays: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    """Write a safetensors file of zeros."""
    header: dict[str, Any] = {"__metadata__": {"key": json.dumps(key)}}
    offset = 0
    # The widest types first: then all are aligned.
    for name, (dtype, shape) in sorted(arrays.items(), key=lambda a: -np.dtype(a[1][0]).itemsize):
        end = offset + np.dtype(dtype).itemsize * int(np.prod(shape))
        header[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            # Takes the space now: a disk found full through a memory map would end the process.
            for begin in range(0, offset, _ZEROS):
                file.write(bytes(min(_ZEROS, offset - begin)))
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path} of {offset / 1e9:.2f} GB ({error.strerror}); free some space or "
            "choose another --out."
        ) from None


def _map(
    path: Path, key: dict[str, str], mode: Literal["r", "r+"]
) -> tuple[dict[str, NDArray[Any]], dict[str, str]] | None:
    """The arrays of a whole safetensors file, mapped, and its key; None if not made of `key`."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        made_of: dict[str, str] = json.loads(header.pop("__metadata__")["key"])
        if not key.items() <= made_of.items():
            return None
        arrays: dict[str, NDArray[Any]] = {}
        for name, about in header.items():
            begin, end = about["data_offsets"]
            dtype, shape = np.dtype(_TYPES[about["dtype"]]), tuple(about["shape"])
            if end > begin:
                arrays[name] = np.memmap(path, dtype, mode, 8 + length + begin, shape)
            else:
                arrays[name] = np.zeros(shape, dtype)  # which cannot be mapped
        return arrays, made_of
    except (OSError, struct.error, AttributeError, KeyError, TypeError, ValueError):
        return None
