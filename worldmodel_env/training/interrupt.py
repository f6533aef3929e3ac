"""Ctrl-C ends a training after the step in progress, so that a checkpoint can be written."""

import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """Context in which the first SIGINT or SIGTERM sets `asked`; a second one stops at once.

    Python hands signals to the main thread only: a training in another thread is not asked, and
    whoever started it handles signals as before.
    """

    def __init__(self) -> None:
        self.asked = False
        self._previous: dict[signal.Signals, signal._HANDLER] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            numbers = (signal.SIGINT, signal.SIGTERM)
            self._previous = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
