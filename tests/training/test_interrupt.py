"""Ctrl-C: asked once, stops after the step; asked twice, at once."""

import signal
import threading

import pytest

from worldmodel_env.training.interrupt import Interrupt

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@BOTH
def test_the_first_signal_only_asks(number: signal.Signals) -> None:
    with Interrupt() as interrupt:
        assert not interrupt.asked
        signal.raise_signal(number)
        assert interrupt.asked


@BOTH
def test_the_second_stops_at_once(number: signal.Signals) -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


@BOTH
def test_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def run() -> None:
        with Interrupt() as interrupt:
            seen.extend([signal.getsignal(signal.SIGINT), interrupt.asked])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before, False]
