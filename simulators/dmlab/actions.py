"""What each discrete action tells DeepMind Lab, and the bounds of its native action."""

import numpy as np
from gymnasium import spaces

NATIVE = (
    ("LOOK_LEFT_RIGHT_PIXELS_PER_FRAME", -512, 512),
    ("LOOK_DOWN_UP_PIXELS_PER_FRAME", -512, 512),
    ("STRAFE_LEFT_RIGHT", -1, 1),
    ("MOVE_BACK_FORWARD", -1, 1),
    ("FIRE", 0, 1),
    ("JUMP", 0, 1),
    ("CROUCH", 0, 1),
)
"""The engine's `action_spec`, in its order."""

TECO: dict[str, tuple[int, ...]] = {
    "turn left": (-20, 0, 0, 0, 0, 0, 0),
    "turn right": (20, 0, 0, 0, 0, 0, 0),
    "forward": (0, 0, 0, 1, 0, 0, 0),
}
"""The three of DMLab-40k, with its numbers 0, 1, 2."""

FULL: dict[str, tuple[int, ...]] = {
    **TECO,
    "turn left and forward": (-20, 0, 0, 1, 0, 0, 0),
    "turn right and forward": (20, 0, 0, 1, 0, 0, 0),
    "back": (0, 0, 0, -1, 0, 0, 0),
    "strafe left": (0, 0, -1, 0, 0, 0, 0),
    "strafe right": (0, 0, 1, 0, 0, 0, 0),
    "look down": (0, 10, 0, 0, 0, 0, 0),
    "look up": (0, -10, 0, 0, 0, 0, 0),
    "fire": (0, 0, 0, 0, 1, 0, 0),
    "jump": (0, 0, 0, 0, 0, 1, 0),
    "crouch": (0, 0, 0, 0, 0, 0, 1),
    "nothing": (0, 0, 0, 0, 0, 0, 0),
}

SETS = {"teco": TECO, "full": FULL, "native": None}


def native_space() -> spaces.MultiDiscrete:
    """The engine's own action: int64 (7,) between the bounds of `NATIVE`."""
    low = np.array([lowest for _, lowest, _ in NATIVE], np.int64)
    high = np.array([highest for _, _, highest in NATIVE], np.int64)
    return spaces.MultiDiscrete(high - low + 1, start=low)
