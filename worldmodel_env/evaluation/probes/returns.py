"""When an agent comes back to a pose: found from recorded poses alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Poses = NDArray[np.float32]


@dataclass(frozen=True)
class Tolerance:
    """How near two poses must be to count as one.

    Attributes:
        distance: largest distance between the positions, in the pose's units.
        angle: largest angle between the headings, in degrees.
        away: frames for which the pose must have been left in between.
    """

    distance: float
    angle: float = 11.25
    away: int = 8


@dataclass(frozen=True)
class Returns:
    """E events: in episode `episode`, frame `now` shows a pose first seen at frame `then`.

    Attributes:
        episode: (E,) int64.
        then: (E,) int64, of the first stay at the pose, the frame with the nearest pose.
        now: (E,) int64, the first frame of the return; nowhere between the first stay and it was
            the agent at the pose.
    """

    episode: NDArray[np.int64]
    then: NDArray[np.int64]
    now: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.now)

    @property
    def lag(self) -> NDArray[np.int64]:
        """(E,) frames between the two."""
        return self.now - self.then

    def where(self, chosen: NDArray[np.bool_]) -> "Returns":
        """Some of the events."""
        return Returns(self.episode[chosen], self.then[chosen], self.now[chosen])


def find_returns(pose: Poses, tolerance: Tolerance) -> Returns:
    """Every first return to a pose.

    Args:
        pose: (N, L, 3) x, y, heading in degrees.
        tolerance: what counts as the same pose.
    """
    events = [
        (episode, then, now)
        for episode, walk in enumerate(pose)
        for then, now in _of_walk(walk, tolerance)
    ]
    table = np.array(events, np.int64).reshape(-1, 3)
    return Returns(*table.T)


def distances(a: Poses, b: Poses) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance and absolute angle in degrees between poses (..., 3) and (..., 3), broadcast."""
    apart = np.hypot(a[..., 0] - b[..., 0], a[..., 1] - b[..., 1])
    turned = np.abs((a[..., 2] - b[..., 2] + 180) % 360 - 180)
    return apart, turned


def _of_walk(walk: Poses, tolerance: Tolerance) -> list[tuple[int, int]]:
    apart, turned = distances(walk[:, None], walk[None])
    same = (apart <= tolerance.distance) & (turned <= tolerance.angle)
    found = []
    for now in range(1, len(walk)):
        stay = np.flatnonzero(same[now, :now])
        if not len(stay):
            continue
        unbroken = stay[-1] - stay[0] == len(stay) - 1
        if unbroken and now - stay[-1] > tolerance.away:
            nearness = apart[now, stay] / max(tolerance.distance, 1e-9) + turned[now, stay] / 360
            found.append((int(stay[nearness.argmin()]), now))
    return found
