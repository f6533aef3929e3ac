"""A scripted walker that sees only frames, so that it walks in real and imagined mazes alike."""

import numpy as np
from numpy.typing import NDArray

LEFT, RIGHT, FORWARD = 0, 1, 2

CEILING = np.array([206, 210, 218], np.int16)
"""Colour of the mazes' ceiling, of which a wall ahead hides the more, the nearer it is."""
_TOLERANCE = 14
_OPEN = 0.2
"""So much of the frame's top must show the ceiling: a wall is then at least two steps away."""
_STUCK = 2.0
"""A step forward that changes pixels less than this, on average, has met a wall."""
_CIRCLE = 16
_WANDER = 0.05


class Walker:
    """Walks ahead while the view is open, turns where it is not, and now and then just so.

    It turns to the side that shows more of the ceiling, and on until the view opens, but not past a
    full circle: in a dream the view may never open.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._side = LEFT
        self._turned = 0
        self._committed = 0
        self._before: NDArray[np.uint8] | None = None

    def act(self, observation: NDArray[np.uint8]) -> int:
        """Choose 0 (turn left), 1 (turn right) or 2 (forward).

        Args:
            observation: (H, W, 3) uint8, of SimMaze-v0 or TecoMaze-v0.
        """
        action = self._choose(observation)
        self._before = observation if action == FORWARD else None
        return action

    def _choose(self, frame: NDArray[np.uint8]) -> int:
        left, ahead, right = openness(frame)
        stuck = self._before is not None and _change(self._before, frame) < _STUCK
        if self._committed:
            self._committed -= 1
        elif stuck or (ahead < _OPEN and self._turned < _CIRCLE):
            if not self._turned:
                self._side = self._wider(left, right)
            self._turned += 1
            self._committed = 2 if stuck else 0
        elif self._random.random() < _WANDER:
            self._side = int(self._random.integers(2))
            self._committed = int(self._random.integers(4))
        else:
            self._turned = 0
            return FORWARD
        return self._side

    def _wider(self, left: float, right: float) -> int:
        if left == right:
            return int(self._random.integers(2))
        return LEFT if left > right else RIGHT


def openness(frame: NDArray[np.uint8]) -> tuple[float, float, float]:
    """How much ceiling the frame's top quarter shows at the left, in the middle and at the right.

    Args:
        frame: (H, W, 3) uint8.

    Returns:
        Three shares in [0, 1].
    """
    top = frame[: len(frame) // 4].astype(np.int16)
    share = (np.abs(top - CEILING) <= _TOLERANCE).all(-1).mean(0)
    third = len(share) // 3
    left, ahead, right = share[:third], share[third:-third], share[-third:]
    return float(left.mean()), float(ahead.mean()), float(right.mean())


def _change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    return float(np.abs(after.astype(np.int16) - before).mean())
