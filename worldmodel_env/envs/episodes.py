"""How imagined episodes begin and go on: what single and vector environments share."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodel_env.envs.actions import action_batch, host_array
from worldmodel_env.envs.ending import ends
from worldmodel_env.envs.moment import Moment
from worldmodel_env.envs.options import Beginning
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import Backend, open_backend
from worldmodel_env.imagination.window import frames_seen
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling

CODES = ("codes", "history", "views")
"""Parts of a state that are codes of frames."""

COUNTS = ("index", "recalled")
"""Parts of a state that count frames."""


BLOCK = 16
"""So many neighbours are computed together when one begins anew: of a thousand rows a few do in
every step, and all would cost as much again."""


@dataclass(frozen=True)
class Transition:
    """What B episodes got for their actions, on the host.

    Attributes:
        reward: (B,) float32, expected.
        terminated: (B,) bool, drawn.
        surprise: (B,) float32, mean entropy of the frame's codes, nats.
    """

    reward: NDArray[np.float32]
    terminated: NDArray[np.bool_]
    surprise: NDArray[np.float32]


class Episodes:
    """`rows` episodes imagined at a time; holds no present, its methods lead from one to the next.

    Calls to the backend are for the same rows whichever of them matter, so that a row's numbers do
    not depend on what the others do: a step for all, a beginning for blocks of `BLOCK`, or for as
    many as the backend was compiled for.

    Args:
        world: a shipped world's name, a world's folder, or a `World`.
        rows: B.
        sampling: a `Sampling` instead of the world's own, or a dict of the fields to change.
        **settings: of `open_backend`.

    Raises:
        InputError: an argument out of its range, or no such world.
    """

    def __init__(
        self,
        world: str | Path | World | None,
        rows: int,
        *,
        sampling: Sampling | dict[str, Any] | None,
        **settings: Any,
    ) -> None:
        self.world = _load(world)
        self.rows = rows
        self._settings = {**settings, "sampling": _sampling(sampling, self.world.config.sampling)}
        self.backend: Backend = open_backend(self.world, batch=rows, **self._settings)

    def begin(
        self,
        how: Beginning,
        generators: Sequence[np.random.Generator],
        rows: NDArray[np.bool_] | None = None,
        now: Moment | None = None,
    ) -> Moment:
        """Begin episodes anew.

        Args:
            how: with what.
            generators: of each row; draw its start and the key of its noise.
            rows: (B,) which rows begin; the others draw nothing, and stay as they are now. All by
                default.
            now: the present, needed if some rows stay.
        """
        rows = np.ones(self.rows, bool) if rows is None else rows
        starts, keys = np.zeros((2, self.rows), np.int64)
        for row in map(int, np.flatnonzero(rows)):
            # Both are drawn whatever the options, which thus do not change the noise.
            starts[row] = generators[row].integers(len(self.world.starts))
            keys[row] = generators[row].integers(1 << 63, dtype=np.uint64)
        starts = starts if how.starts is None else how.starts
        key = torch.from_numpy(keys).to(self.backend.device)

        def begun(part: slice) -> Moment:
            new = self._begin(how.part(part), starts[part], key[part])
            return new if now is None else now.part(part).replaced(rows[part], new)

        size = self.backend.batch or BLOCK
        parts = [slice(first, first + size) for first in range(0, self.rows, size)]
        return Moment.joined(
            [begun(p) if now is None or rows[p].any() else now.part(p) for p in parts]
        )

    def step(self, now: Moment, action: NDArray) -> tuple[Moment, Transition]:
        """Imagine the transitions that `action` (B,) or (B, k) makes.

        Raises:
            InputError: the world imagines what is no number.
        """
        state, imagined = self.backend.step(now.state, action, now.key)
        reward, termination, surprise = (
            x.float().cpu().numpy()
            for x in (imagined.reward, imagined.termination, imagined.surprise)
        )
        if not np.isfinite(reward + termination + surprise).all():
            raise InputError(
                f"world {self.world.name!r} imagined a reward, an ending or a surprise that is no "
                "number: its weights are damaged or do not fit the precision; try "
                "precision='fp32', or train it again."
            )
        seen = frames_seen(now.state)
        terminated = ends(termination, now.key.cpu().numpy(), seen.cpu().numpy())
        moment = self._next(now, state, imagined.frame, terminated)
        return moment, Transition(reward, terminated, surprise)

    def observe(self, now: Moment, frames: NDArray[np.uint8], action: NDArray) -> Moment:
        """Take in the real frames (B, H, W, 3) uint8 that `action` led to."""
        state = self.backend.observe(now.state, frames, action)
        shown = torch.tensor(frames, device=self.backend.device)
        return self._next(now, state, shown, np.zeros(self.rows, bool))

    def restore(self, arrays: Mapping[str, NDArray], like: Moment | None) -> Moment:
        """The moment that `Moment.arrays` gave, of `rows` rows or of one, which all then take.

        Raises:
            InputError: it is not a state of this world.
        """
        if like is None:
            like = self.begin(Beginning(), [np.random.default_rng(0)] * self.rows)
        moment = like.restored(arrays)
        codes = self.world.config.vqgan.n_codes
        ranges: dict[str, tuple[Any, int, int]] = {
            **{name: (moment.state[name], 0, codes) for name in CODES if name in moment.state},
            **{name: (moment.state[name], 1, 1 << 62) for name in COUNTS if name in moment.state},
            "key": (moment.key, 0, 1 << 63),
            "elapsed": (moment.elapsed, 0, 1 << 62),
            "start": (moment.start, -1, len(self.world.starts)),
        }
        for name, (values, least, end) in ranges.items():
            if not least <= int(values.min()) <= int(values.max()) < end:
                raise InputError(
                    f"the state's {name!r} has values from {int(values.min())} to "
                    f"{int(values.max())}, expected {least} to {end - 1}; give what get_state() "
                    "returned for the same world."
                )
        return moment

    def resized(self, rows: int) -> "Episodes":
        """The same world and settings for another number of rows; shares what it can."""
        other = copy(self)
        other.rows = rows
        if rows != self.rows and self.backend.batch is not None:
            other.backend = open_backend(self.world, batch=rows, **self._settings)
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> "Episodes":
        # Environments are copied to plan ahead; what runs them need not be.
        return self

    def __getstate__(self) -> dict[str, Any]:
        # Compiled backends cannot be pickled, and open again from the same settings.
        return {name: value for name, value in vars(self).items() if name != "backend"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.backend = open_backend(self.world, batch=self.rows, **self._settings)

    def _begin(self, how: Beginning, starts: NDArray, key: torch.Tensor) -> Moment:
        backend, count = self.backend, len(key)
        if how.frames is not None or how.unconditional:
            starts = np.full(count, -1)
        if how.frames is not None:
            assert how.actions is not None
            state = backend.begin(backend.encode(how.frames[:, 0]))
            for t in range(how.actions.shape[1]):
                action = action_batch(self.world.action_space, how.actions[:, t])
                state = backend.observe(state, how.frames[:, t + 1], action)
            frame = torch.tensor(how.frames[:, -1], device=backend.device)
        else:
            codes = backend.first(key) if how.unconditional else self.world.starts[starts]
            state = backend.begin(codes)
            frame = backend.decode(state)
        elapsed, ended = np.zeros(count, np.int64), np.zeros(count, bool)
        return Moment(state, key, elapsed, starts.astype(np.int64), ended, frame)

    @staticmethod
    def _next(now: Moment, state: Any, frame: torch.Tensor, ended: NDArray[np.bool_]) -> Moment:
        return replace(now, state=state, elapsed=now.elapsed + 1, ended=ended, frame=frame)


def check_frames(frames: Any, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Frames that a user observed, on the host.

    Raises:
        InputError: they are not uint8 of this shape.
    """
    array = host_array(frames)
    if array.dtype != np.uint8 or array.shape != shape:
        raise InputError(
            f"the observed frame is {array.dtype} {array.shape}, expected uint8 {shape}; give a "
            "frame as the environment returns it."
        )
    return array


def _load(world: str | Path | World | None) -> World:
    if isinstance(world, str | Path):
        world = World.load(world)
    if not isinstance(world, World):
        raise InputError(
            f"world is {world!r}; give a shipped world's name, a world's folder or a World, as in "
            "gymnasium.make(..., world='maze')."
        )
    for name, weight in world.weights.items():
        if not torch.isfinite(weight).all():
            raise InputError(
                f"world {world.name!r} has the weight {name!r} with values that are no numbers; "
                "train it again, or save it from an earlier checkpoint."
            )
    return world


def _sampling(given: Sampling | dict[str, Any] | None, own: Sampling) -> Sampling:
    if given is None or isinstance(given, Sampling):
        return given or own
    try:
        return replace(own, **given)
    except TypeError:
        names = ", ".join(f"{name!r}" for name in asdict(own))
        raise InputError(
            f"sampling is {given!r}; give a Sampling, or a dict with some of {names}."
        ) from None
