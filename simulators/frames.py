"""What the wrappers share: frames of one size, poses of one form, the words for bad input."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError

Frame = NDArray[np.uint8]


def check_size(simulator: str, size: int) -> int:
    """Returns the side of square frames in pixels; InputError unless it is 8 to 1024."""
    if isinstance(size, bool) or not isinstance(size, int) or not 8 <= size <= 1024:
        raise InputError(f"{simulator} got size={size!r}; give 8 to 1024, the frames' side.")
    return size


def check_choice(simulator: str, name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """InputError unless an argument's value is one of its choices."""
    if value not in choices:
        expected = ", ".join(map(repr, choices))
        raise InputError(f"{simulator} got {name}={value!r}; choose one of {expected}.")


def fit(frame: Frame, size: int) -> Frame:
    """A frame (H, W, 3) as (size, size, 3): averaged by area where it shrinks, else linear.

    The whole frame is kept, so one that is not square is squeezed, not cut.
    """
    if frame.shape[:2] == (size, size):
        return np.ascontiguousarray(frame)
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            'Resizing frames needs OpenCV: pip install "worldmodel-env[maze]".'
        ) from error
    shrinks = min(frame.shape[:2]) >= size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (size, size), interpolation=method), np.uint8)


def pose(x: float, y: float, degrees: float) -> NDArray[np.float32]:
    """float32 (x, y, heading): counter-clockwise from the x axis, in degrees, in [0, 360)."""
    heading = np.float32(degrees % 360.0)
    return np.array((x, y, 0.0 if heading >= 360 else heading), np.float32)


def one_thread_for_mesa() -> None:
    """Lets Mesa draw in the thread that asks, unless the user has said otherwise.

    Small frames divided among threads take twice as long, and recording uses processes.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")


def no_episode(simulator: str) -> InputError:
    """What to raise where an episode is needed and there is none."""
    return InputError(f"{simulator} has no episode yet; call reset() first.")


def bad_action(simulator: str, action: Any, expected: str) -> InputError:
    """What to raise for an action outside the action space."""
    return InputError(f"{simulator} got the action {action!r}; give {expected}.")


def meanings(names: tuple[str, ...]) -> str:
    """Numbered names, for messages: "0 (turn left), 1 (turn right)"."""
    return ", ".join(f"{number} ({name})" for number, name in enumerate(names))
