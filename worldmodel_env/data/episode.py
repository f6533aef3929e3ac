"""One episode, or a slice of one, in memory."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError


@dataclass(frozen=True, eq=False)
class Episode:
    """T actions and the T+1 frames around them.

    `actions[t]` is taken after frame t and leads to frame t+1; `rewards[t]`, `terminations[t]`
    and `truncations[t]` belong to that transition.

    Attributes:
        observations: (T+1, H, W, 3) uint8.
        actions: (T,) int64 for Discrete, (T, k) int64 for MultiDiscrete, (T, k) float32 for Box.
        rewards: (T,) float32, finite.
        terminations: (T,) bool; True at most at the last step.
        truncations: (T,) bool; True at most at the last step.
        pose: (T+1, 3) float32 x, y, heading in degrees, or None where the simulator has none.
        attributes: what is known of the whole episode (seed, split, policy, ...).

    Raises:
        InputError: if shapes or dtypes are others, or the lengths do not agree.
    """

    observations: NDArray[np.uint8]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    terminations: NDArray[np.bool_]
    truncations: NDArray[np.bool_]
    pose: NDArray[np.float32] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames, steps = self.observations, len(self.actions)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
            raise InputError(
                f"observations are {frames.dtype} {frames.shape}: expected uint8 (T+1, H, W, 3)"
            )
        if len(frames) != steps + 1:
            raise InputError(
                f"an episode of {steps} actions has {steps + 1} frames, this one has "
                f"{len(frames)}: keep the frame that reset returned"
            )
        integers = np.issubdtype(self.actions.dtype, np.signedinteger)
        if self.actions.ndim not in (1, 2) or not (integers or self.actions.dtype == np.float32):
            raise InputError(
                f"actions are {self.actions.dtype} {self.actions.shape}: "
                "expected int64 (T,) or (T, k), or float32 (T, k)"
            )
        self._check("rewards", np.float32, (steps,))
        self._check("terminations", np.bool_, (steps,))
        self._check("truncations", np.bool_, (steps,))
        if self.pose is not None:
            self._check("pose", np.float32, (steps + 1, 3))

    def _check(self, name: str, dtype: type, shape: tuple[int, ...]) -> None:
        array = getattr(self, name)
        if array.dtype != dtype or array.shape != shape:
            raise InputError(
                f"{name} is {array.dtype} {array.shape}: expected {np.dtype(dtype)} {shape}"
            )

    def __len__(self) -> int:
        """Number of actions T."""
        return len(self.actions)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything recorded, frame by frame and step by step (attributes aside)."""
        digest = hashlib.sha256()
        for name in ("observations", "actions", "rewards", "terminations", "truncations", "pose"):
            array = getattr(self, name)
            if array is not None:
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()
