"""A flax model's parameters by name: each is taken once, with its shape checked."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from worldmodel_env.errors import InputError

PREFIX = "param/"
ASIDE = ("in/", "out/")  # what a parity file holds besides parameters


class Place(NamedTuple):
    """Where a parameter tells a size: (its length along `axis` - `less`) / `per`."""

    name: str
    axis: int
    less: int = 0
    per: int = 1


class FlaxTree:
    """Named arrays, of which none may be missing, misshapen or left over.

    All errors are `InputError`s that name the parameter.
    """

    def __init__(self, params: Mapping[str, np.ndarray]) -> None:
        """`params`: names joined by "/", all of them with the prefix `param/` or none."""
        names = [name for name in params if not name.startswith(ASIDE)]
        self._prefix = PREFIX if any(name.startswith(PREFIX) for name in names) else ""
        self._arrays = {name: np.asarray(params[name]) for name in names}
        self._left = set(names)

    def count(self, pattern: str) -> int:
        """How many modules are called `pattern`, in which `#` stands for a number."""
        regex = re.compile(re.escape(self._prefix + pattern).replace(r"\#", r"(\d+)") + "/")
        return len({match[1] for match in map(regex.match, self._arrays) if match})

    def size(self, what: str, *places: Place) -> int:
        """The size that most places tell, so that the one which deviates can be named later.

        Args:
            what: the size's name, for the message if there is no majority.
            places: who tells it.
        """
        told = {place.name: self._told(place) for place in places}
        (value, votes), *others = Counter(told.values()).most_common()
        if others and others[0][1] == votes:
            said = ", ".join(f"{self._prefix}{name} says {size}" for name, size in told.items())
            raise InputError(f"{what} is not certain: {said}; give the tree of one model.")
        if value < 1:
            raise InputError(
                f"{what} is {value} by the parameter {self._prefix}{places[0].name}, expected 1 or "
                "more; give the tree of one model."
            )
        return value

    def take(self, name: str, *shape: int) -> Tensor:
        """A float32 copy of an array, in flax's layout."""
        array = self._find(name)
        if array.shape != shape or array.dtype.kind != "f":
            raise InputError(
                f"parameter {self._prefix}{name} is {array.dtype} {array.shape}, but by the other "
                f"parameters it has floats {shape}; give the tree of one model."
            )
        self._left.discard(self._prefix + name)
        return torch.from_numpy(array.astype(np.float32))

    def finish(self) -> None:
        """Refuse parameters that nobody took."""
        if self._left:
            raise InputError(
                f"parameter {', '.join(sorted(self._left))} is unknown, the model has no place for "
                "it; leave it out."
            )

    def _told(self, place: Place) -> int:
        shape = self._find(place.name).shape
        if place.axis >= len(shape):
            raise InputError(
                f"parameter {self._prefix}{place.name} has the shape {shape}, expected at least "
                f"{place.axis + 1} dimensions; store it as flax does."
            )
        return (shape[place.axis] - place.less) // place.per

    def _find(self, name: str) -> np.ndarray:
        if self._prefix + name not in self._arrays:
            raise InputError(
                f"parameter {self._prefix}{name} is missing; give the whole tree, its names joined "
                "by '/'."
            )
        return self._arrays[self._prefix + name]
