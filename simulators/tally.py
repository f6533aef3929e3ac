"""Counts what a recording did and what went wrong on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simulators.crew import ATTEMPTS, Recorded, Trouble
from worldmodel_env.errors import InputError

_IN_A_ROW = 3
"""So many episodes given up with none recorded in between end a recording."""


@dataclass(frozen=True)
class RecordSummary:
    """What a call of `record` did.

    Attributes:
        out: the data set's folder.
        recorded: episodes written.
        skipped: episodes that were there already.
        frames: frames written.
        bytes: size of the files written.
        seconds: wall-clock time.
        crashes: attempts at an episode that the simulator's death or exception ended.
        hangs: attempts that were ended because the simulator took no step in time.
        failed: episodes that were given up, by seed, with the reason.
    """

    out: Path
    recorded: int
    skipped: int
    frames: int
    bytes: int
    seconds: float
    crashes: int = 0
    hangs: int = 0
    failed: Mapping[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        text = (
            f"recorded {self.recorded} episodes ({self.frames:,} frames, {self.bytes / 1e6:.1f} "
            f"MB) in {self.seconds:.1f} s ({self.frames / max(self.seconds, 1e-9):.0f} frames/s), "
            f"{self.skipped} were there already: {self.out}"
        )
        if self.crashes or self.hangs:
            text += f"\nthe simulator crashed {self.crashes} times and hung {self.hangs} times"
        for seed, reason in self.failed.items():
            text += f"\ngiven up after {ATTEMPTS} attempts: seed {seed} ({reason})"
        return text


class Tally:
    """Counts events one by one."""

    def __init__(self, simulator: str) -> None:
        self._simulator = simulator
        self._recorded = self._frames = self._bytes = self._in_a_row = 0
        self._troubles = {"crash": 0, "hang": 0}
        self._failed: dict[int, str] = {}

    def count(self, event: Recorded | Trouble) -> None:
        """Count an event; InputError if the simulator only fails."""
        if isinstance(event, Recorded):
            self._recorded += 1
            self._frames += event.steps + 1
            self._bytes += event.bytes
            self._in_a_row = 0
            return
        self._troubles[event.kind] += 1
        if event.final:
            self._failed[event.seed] = f"{event.kind}: {event.reason}"
            self._in_a_row += 1
        if self._in_a_row == _IN_A_ROW:
            raise InputError(
                f"{self._simulator} failed at {_IN_A_ROW} episodes in a row, {ATTEMPTS} times each "
                f"(seed {event.seed}, {event.kind}: {event.reason}): mend it and run the same "
                "command again; whole episodes are kept"
            )

    def summary(self, out: Path, skipped: int, seconds: float) -> RecordSummary:
        """What was counted."""
        return RecordSummary(
            out,
            self._recorded,
            skipped,
            self._frames,
            self._bytes,
            seconds,
            self._troubles["crash"],
            self._troubles["hang"],
            self._failed,
        )
