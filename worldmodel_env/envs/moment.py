"""A moment of an imagined episode: all that its future depends on, actions aside."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import State


@dataclass(frozen=True)
class Moment:
    """One environment's present.

    Attributes:
        state: the model's, batch of one; see `imagination/step.py`.
        key: (1,) int64, of the noise.
        elapsed: transitions since the reset.
        start: index of the start that the episode began with; -1 after a context.
        frame: (H, W, 3) uint8, what is seen.
    """

    state: State
    key: Tensor
    elapsed: int
    start: int
    frame: NDArray[np.uint8]

    def arrays(self) -> dict[str, NDArray]:
        """Copies as numpy arrays; bfloat16, which numpy lacks, becomes float32 without loss."""
        tensors = {**self.state, "key": self.key}
        return {
            **{k: _widened(v).cpu().numpy().copy() for k, v in tensors.items()},
            "elapsed": np.array(self.elapsed, np.int64),
            "start": np.array(self.start, np.int64),
            "frame": self.frame.copy(),
        }

    def restored(self, arrays: Mapping[str, NDArray]) -> "Moment":
        """The moment that `arrays` came from, on this one's device and in its precision.

        Raises:
            InputError: an array is missing, unknown, or of another shape or dtype than here.
        """
        expected = self.arrays()
        if set(arrays) != set(expected):
            odd = sorted(set(arrays) ^ set(expected))
            raise InputError(
                f"the state has the keys {sorted(arrays)}, which differ from this world's in "
                f"{odd}; give what get_state() returned."
            )
        given = {name: np.asarray(array) for name, array in arrays.items()}
        for name, like in expected.items():
            got = given[name]
            if (got.shape, got.dtype) != (like.shape, like.dtype):
                raise InputError(
                    f"the state's {name!r} is {got.dtype} {got.shape}, expected {like.dtype} "
                    f"{like.shape}; give what get_state() returned for the same world."
                )
        return Moment(
            state={k: torch.tensor(given[k]).to(v) for k, v in self.state.items()},
            key=torch.tensor(given["key"]).to(self.key),
            elapsed=int(given["elapsed"]),
            start=int(given["start"]),
            frame=given["frame"].copy(),
        )


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
