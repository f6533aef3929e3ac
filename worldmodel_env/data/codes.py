"""A split of a data set as code grids: 60 times smaller than frames.

One safetensors file, read through the memory map: what a training touches is in memory, and a set
larger than the memory trains as well.
"""

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError


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
    """

    codes: NDArray[np.uint16]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    terminations: NDArray[np.bool_]
    starts: NDArray[np.int64]
    key: dict[str, str]

    @classmethod
    def load(cls, path: Path, key: dict[str, str]) -> "CodeStore | None":
        """Map a file made of `key`; None if there is no whole one, made of just that."""
        arrays = _map(path, key, "r")
        return None if arrays is None else _store(arrays, key)


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
    ) -> None:
        """Go on with the unfinished file for `path` that is made of `key`, or begin one.

        Args:
            path: the finished store.
            key: what the codes are made of.
            starts: (E+1,) as in `CodeStore`.
            grid: side of a code grid.
            action: shape and dtype of one action.

        Raises:
            InputError: there is no room for the file.
        """
        self.path, self.key, self.starts = path, key, starts
        self._partial = path.with_name(f".{path.name}.partial")
        if (arrays := _map(self._partial, key, "r+")) is None:
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
                    "done": ("bool", (len(starts) - 1,)),
                },
            )
            arrays = _map(self._partial, key, "r+")
            assert arrays is not None
            arrays["starts"][:] = starts
        self._arrays = arrays

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
        arrays = _map(self.path, self.key, "r")
        assert arrays is not None
        return _store(arrays, self.key)


# safetensors' names of the types; its own writer needs all content in memory at once.
_NAMES = {"uint16": "U16", "bool": "BOOL", "int64": "I64", "float32": "F32", "float64": "F64"}
_TYPES = {name: dtype for dtype, name in _NAMES.items()}
_ZEROS = 1 << 24


def _store(arrays: dict[str, NDArray[Any]], key: dict[str, str]) -> CodeStore:
    columns = ("codes", "actions", "rewards", "terminations", "starts")
    return CodeStore(**{name: np.asarray(arrays[name]) for name in columns}, key=key)


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
) -> dict[str, NDArray[Any]] | None:
    """The arrays of a whole safetensors file made of `key`, mapped; None if it is none."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        if json.loads(header.pop("__metadata__")["key"]) != key:
            return None
        arrays: dict[str, NDArray[Any]] = {}
        for name, about in header.items():
            begin, end = about["data_offsets"]
            dtype, shape = np.dtype(_TYPES[about["dtype"]]), tuple(about["shape"])
            if end > begin:
                arrays[name] = np.memmap(path, dtype, mode, 8 + length + begin, shape)
            else:
                arrays[name] = np.zeros(shape, dtype)  # which cannot be mapped
        return arrays
    except (OSError, struct.error, KeyError, TypeError, ValueError):
        return None
