"""How long a training runs, and the learning rate that anneals inside that budget."""

import math
import time
from dataclasses import dataclass

from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Budget:
    """Exactly one of: optimizer steps, minutes of training (across resumes).

    A budget in minutes suits a machine of unknown speed; one in steps makes runs repeatable.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.steps, self.minutes) if v is not None]
        if len(given) != 1 or given[0] <= 0:
            raise InputError(
                f"training budget is steps={self.steps}, minutes={self.minutes}; give exactly one "
                "of --steps and --minutes, above zero."
            )

    def progress(self, step: int, seconds: float) -> float:
        """Share of the budget used after `step` steps and `seconds` of training, in [0, 1]."""
        used = step / self.steps if self.steps else seconds / (60 * (self.minutes or 1))
        return min(used, 1.0)


def learning_rate(peak: float, progress: float, warmup: float = 0.03, hold: float = 0.5) -> float:
    """Linear warm-up, constant until `hold`, cosine to zero.

    At small budgets the last stretch of decay gains more than the same time at the peak rate, so
    the schedule always ends inside the budget.
    """
    if progress < warmup:
        return peak * (progress / warmup * 0.95 + 0.05)
    if progress < hold:
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - hold) / (1 - hold)))


class Clock:
    """Seconds of training so far, carried across resumes."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._before = seconds
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training, all runs together."""
        return self._before + time.monotonic() - self._start
