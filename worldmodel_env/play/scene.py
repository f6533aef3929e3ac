"""What a person sees at one moment of a walk."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]


@dataclass(frozen=True)
class Sight:
    """The simulator's side of a moment.

    Attributes:
        frame: (H, W, 3) uint8.
        pose: x, y and heading in degrees; None where the simulator does not tell.
        reward: of the transition that led here.
        ended: the simulator's episode is over; it stands still from here on.
    """

    frame: Frame
    pose: tuple[float, float, float] | None
    reward: float
    ended: bool


@dataclass(frozen=True)
class Tuning:
    """How a frame is sampled; see `imagination.step.Sampling`."""

    steps: int
    temperature: float


@dataclass(frozen=True)
class Scene:
    """One moment.

    Attributes:
        frame: (H, W, 3) uint8: what the world shows.
        elapsed: transitions since the walk began.
        control: the control that led here; None at the beginning.
        reward: of the transition that led here, as the world expects it.
        total: rewards since the beginning, undiscounted.
        ended: the world says that the episode ended here.
        surprise: nats, how unsure the world was of this frame; None if it did not imagine it.
        tuning: how it was sampled; likewise.
        truth: the simulator's side, if it walks along.
    """

    frame: Frame
    elapsed: int
    control: int | None
    reward: float
    total: float
    ended: bool
    surprise: float | None
    tuning: Tuning | None
    truth: Sight | None
