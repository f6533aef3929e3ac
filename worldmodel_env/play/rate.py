"""How often a page may ask."""

import time
from collections.abc import Callable

PER_SECOND = 60.0
BURST = 60.0


class Rate:
    """A bucket of permissions that fills steadily; who empties it is made to wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a full bucket."""
        self._clock = clock
        self._left, self._at = BURST, clock()

    def wait(self) -> float:
        """Take one permission; returns the seconds to wait before using it."""
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND) - 1
        self._at = now
        return max(0.0, -self._left / PER_SECOND)
