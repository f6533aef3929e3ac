"""A moment of imagined episodes: all that their future depends on, actions aside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import State


@dataclass(frozen=True)
class Moment:
    """The present of B episodes, one a row.

    Attributes:
        state: the model's; see `imagination/step.py`.
        key: (B,) int64, of the noise.
        elapsed: (B,) int64, transitions since the reset.
        start: (B,) int64, index of the start that the episode began with; -1 where it began
            otherwise.
        ended: (B,) bool, whether the last transition ended the episode.
        frame: (B, H, W, 3) uint8, what is seen.
    """

    state: State
    key: Tensor
    elapsed: NDArray[np.int64]
    start: NDArray[np.int64]
    ended: NDArray[np.bool_]
    frame: Tensor

    def arrays(self) -> dict[str, NDArray]:
        """Copies as numpy arrays; bfloat16, which numpy lacks, becomes float32 without loss."""
        tensors = {**self.state, "key": self.key, "frame": self.frame}
        return {
            **{name: _widened(tensor).cpu().numpy().copy() for name, tensor in tensors.items()},
            "elapsed": self.elapsed.copy(),
            "start": self.start.copy(),
            "ended": self.ended.copy(),
        }

    def restored(self, arrays: Mapping[str, NDArray]) -> "Moment":
        """The moment that `arrays` came from, on this one's device and in its precision.

        Args:
            arrays: of as many rows as here, or of one, which every row then takes.

        Raises:
            InputError: an array is missing, unknown, of another shape or dtype than here, or not
                finite.
        """
        expected = self._layout()
        if set(arrays) != set(expected):
            odd = sorted(set(arrays) ^ set(expected))
            raise InputError(
                f"the state has the keys {sorted(arrays)}, which differ from this world's in "
                f"{odd}; give what get_state() returned."
            )
        given = {name: _fitting(name, arrays[name], *like) for name, like in expected.items()}
        return Moment(
            state={name: torch.tensor(given[name]).to(v) for name, v in self.state.items()},
            key=torch.tensor(given["key"]).to(self.key),
            elapsed=given["elapsed"].copy(),
            start=given["start"].copy(),
            ended=given["ended"].copy(),
            frame=torch.tensor(given["frame"]).to(self.frame),
        )

    def replaced(self, rows: NDArray[np.bool_], other: "Moment") -> "Moment":
        """This moment with some rows, a (B,) mask, of another."""
        mask = torch.from_numpy(rows).to(self.key.device)

        def chosen(here: Tensor, there: Tensor) -> Tensor:
            return torch.where(mask.view(-1, *[1] * (here.ndim - 1)), there, here)

        def picked(here: NDArray, there: NDArray) -> NDArray:
            return np.where(rows, there, here)

        return _combined([self, other], chosen, picked)

    def part(self, rows: slice) -> "Moment":
        """Some rows, sharing memory with these."""
        return _combined([self], lambda x: x[rows], lambda x: x[rows])

    def repeated(self, copies: int) -> "Moment":
        """Each row `copies` times, one after another; nothing is shared with this moment."""
        return _combined(
            [self], lambda x: x.repeat_interleave(copies, 0), lambda x: x.repeat(copies)
        )

    @staticmethod
    def joined(parts: "Sequence[Moment]") -> "Moment":
        """The rows of all parts, in their order."""
        if len(parts) == 1:
            return parts[0]
        return _combined(parts, lambda *x: torch.cat(x), lambda *x: np.concatenate(x))

    def _layout(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Shapes and dtypes of `arrays`."""
        row = {**self.state, "key": self.key, "frame": self.frame}
        own = {"elapsed": self.elapsed, "start": self.start, "ended": self.ended}
        return {
            **{
                name: (tuple(v.shape), _widened(v[:0]).cpu().numpy().dtype)
                for name, v in row.items()
            },
            **{name: (array.shape, array.dtype) for name, array in own.items()},
        }


def _combined(
    moments: Sequence[Moment],
    tensors: Callable[..., Tensor],
    arrays: Callable[..., NDArray],
) -> Moment:
    """Put moments together, part by part: what the model has as tensors, the rest as arrays."""
    return Moment(
        state={name: tensors(*(m.state[name] for m in moments)) for name in moments[0].state},
        key=tensors(*(m.key for m in moments)),
        elapsed=arrays(*(m.elapsed for m in moments)),
        start=arrays(*(m.start for m in moments)),
        ended=arrays(*(m.ended for m in moments)),
        frame=tensors(*(m.frame for m in moments)),
    )


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _fitting(name: str, array: NDArray, shape: tuple[int, ...], dtype: np.dtype) -> NDArray:
    array = np.asarray(array)
    if array.shape not in (shape, (1, *shape[1:])) or array.dtype != dtype:
        raise InputError(
            f"the state's {name!r} is {array.dtype} {array.shape}, expected {dtype} {shape}; give "
            "what get_state() returned for the same world."
        )
    if not np.isfinite(array).all():
        raise InputError(
            f"the state's {name!r} holds values that are not finite; give what get_state() "
            "returned, unchanged."
        )
    return np.broadcast_to(array, shape)
