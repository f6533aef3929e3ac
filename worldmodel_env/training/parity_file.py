"""A parity file: what the JAX reference computed, with everything it was computed from.

An npz of three groups of arrays: `param/...`, the reference's parameters; `in/...`, a batch of
clips; `out/...`, its results stage by stage. Channels come last, as flax has them.
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from worldmodel_env.errors import InputError


class ParityFile:
    """The arrays of a parity file, each checked when asked for."""

    def __init__(self, path: Path) -> None:
        """Read the whole file, which holds no pickles.

        Raises:
            InputError: it is not a readable npz of plain arrays.
        """
        self.path = path
        try:
            # Opened here, or numpy would leave it open when it is not a zip file.
            with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
                self.arrays: dict[str, np.ndarray] = {name: file[name] for name in file.files}
        except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(
                f"{path} cannot be read as an npz of plain arrays ({error}); give a parity file "
                "written by numpy.savez."
            ) from error

    def floats(self, name: str, *shape: int | None) -> Tensor:
        """An array of floats as float32; None in `shape` stands for any length but 0.

        Raises:
            InputError: it is missing, misshapen or of another type.
        """
        return torch.from_numpy(self._find(name, "f", shape).astype(np.float32))

    def integers(self, name: str, low: int, high: int, *shape: int | None) -> Tensor:
        """An array of integers in [low, high] as int64; `shape` as above.

        Raises:
            InputError: it is missing, misshapen, of another type or out of range.
        """
        array = self._find(name, "iu", shape).astype(np.int64)
        if array.min() < low or array.max() > high:
            raise InputError(
                f"{name} in {self.path} has values from {array.min()} to {array.max()}, expected "
                f"{low} to {high}; write it from the same model as the parameters."
            )
        return torch.from_numpy(array)

    def _find(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray:
        if name not in self.arrays:
            raise InputError(f"{name} is missing in {self.path}; write it beside the others.")
        array = np.asarray(self.arrays[name])
        fits = len(array.shape) == len(shape) and all(
            length == wanted if wanted is not None else length
            for length, wanted in zip(array.shape, shape, strict=True)
        )
        if not fits or array.dtype.kind not in kinds:
            text = ", ".join("any" if n is None else str(n) for n in shape)
            kind = "floats" if kinds == "f" else "integers"
            raise InputError(
                f"{name} in {self.path} is {array.dtype} {array.shape}, expected {kind} ({text}); "
                "write it from the same model as the parameters."
            )
        return array
