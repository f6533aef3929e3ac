"""Shows how a recording goes: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

_LINE_SECONDS = 30.0


class Progress:
    """Episodes done, frames per second and the time that is left, on stderr."""

    def __init__(self, name: str, total: int, done: int, *, shown: bool) -> None:
        self._name, self._total, self._done, self._before = name, total, done, done
        self._frames = 0
        self._began = self._line = time.monotonic()
        self._shown = shown
        terminal = shown and sys.stderr.isatty()
        self._bar = (
            tqdm(desc=f"recording {name}", total=total, initial=done, unit="episode")
            if terminal
            else None
        )

    def add(self, frames: int) -> None:
        """One more episode, of so many frames (0 if that is not known), is recorded."""
        self._frames += frames
        self._done += 1
        now = time.monotonic()
        speed = self._frames / max(now - self._began, 1e-9)
        if self._bar is not None:
            if self._frames:
                self._bar.set_postfix_str(f"{speed:.0f} frames/s", refresh=False)
            self._bar.update()
        elif self._shown and (now - self._line > _LINE_SECONDS or self._done == self._total):
            self._line = now
            each = (now - self._began) / (self._done - self._before)
            left = duration(each * (self._total - self._done))
            rate = f"{speed:.0f} frames/s, " if self._frames else ""
            self.note(f"{self._done}/{self._total} episodes, {rate}{left} left")

    def note(self, text: str) -> None:
        """Say something."""
        if self._shown:
            tqdm.write(f"recording {self._name}: {text}", file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def duration(seconds: float) -> str:
    """Seconds for people: "45 s", "12 min", "3 h 20 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
