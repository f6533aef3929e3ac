"""How long a training runs, and the learning rate that anneals inside that budget."""

import math
import time
from dataclasses import dataclass
from types import TracebackType

from worldmodel_env.errors import InputError
from worldmodel_env.training.recipes import Schedule


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

    def left(self, step: int, seconds: float, seconds_per_step: float) -> float:
        """Seconds until the budget is used."""
        if self.steps:
            return max(0.0, (self.steps - step) * seconds_per_step)
        return max(0.0, 60 * (self.minutes or 1) - seconds)

    def rate(self, peak: float, schedule: Schedule, step: int, progress: float) -> float:
        """The learning rate of step `step` (from 0), `progress` of the budget being used.

        Raises:
            InputError: the schedule counts steps and the budget is in minutes.
        """
        if schedule.kind == "anneal":
            return anneal(peak, progress)
        if self.steps is None:
            raise InputError(
                f"this recipe warms up for {schedule.warmup_steps} steps and anneals by steps; "
                "give its budget as --steps instead of --minutes."
            )
        end = self.steps - schedule.warmup_steps * schedule.ends_early
        return warmup_cosine(peak, step, schedule.warmup_steps, end)


def anneal(peak: float, progress: float, warmup: float = 0.03, hold: float = 0.5) -> float:
    """Linear warm-up, constant until `hold`, cosine to zero.

    At small budgets the last stretch of decay gains more than the same time at the peak rate, so
    the schedule always ends inside the budget.
    """
    if progress < warmup:
        return peak * (progress / warmup * 0.95 + 0.05)
    if progress < hold:
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - hold) / (1 - hold)))


def warmup_cosine(peak: float, step: int, warmup: int, end: int) -> float:
    """Linear from 0 to the peak in `warmup` steps, then a cosine to 0 at step `end`."""
    if step < warmup:
        return peak * step / warmup
    share = min(1.0, (step - warmup) / max(1, end - warmup))
    return peak * 0.5 * (1 + math.cos(math.pi * share))


class Clock:
    """Seconds of training so far, carried across resumes."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._before = seconds
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of training, all runs together."""
        return self._before + time.monotonic() - self._start


class Pace:
    """Seconds that a step takes, as a mean over about the last 50: `with pace: step()`."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._steps = 0
        self._start = 0.0

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._steps += 1
        took = time.monotonic() - self._start
        self.seconds += (took - self.seconds) / min(self._steps, 50)

    def speed(self, frames: int) -> dict[str, float]:
        """Seconds per step, and frames per second if a step trains on `frames`."""
        return {
            "seconds_per_step": self.seconds,
            "frames_per_second": frames / max(self.seconds, 1e-9),
        }
