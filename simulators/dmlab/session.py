"""One DeepMind Lab engine, in this process: what may also run in a process of its own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from worldmodel_env.errors import InputError

_NAME = "SimDMLab-v0"
_PICTURE = "RGB_INTERLEAVED"
_PLACE = ("DEBUG.POS.TRANS", "DEBUG.POS.ROT")
_LAYOUT = "DEBUG.MAZE.LAYOUT"

Moment = dict[str, Any]
"""What `observations()` holds: RGB_INTERLEAVED, and what else the level shows."""


class Session:
    """An engine with a level; the level decides which observations there are."""

    def __init__(self, level: str, config: Mapping[str, str], renderer: str) -> None:
        try:
            import deepmind_lab
        except ImportError as error:
            raise InputError(
                f"{_NAME} needs the module deepmind_lab, which no package index carries: build it "
                "as docs/simulators.md says and install the wheel here."
            ) from error
        self._lab: Any = None
        # Levels without debug observations are played without pose.
        wanted = [[_PICTURE, *_PLACE, _LAYOUT], [_PICTURE, *_PLACE], [_PICTURE]]
        for number, names in enumerate(wanted):
            try:
                with _prints_on_stderr():
                    self._lab = deepmind_lab.Lab(level, names, dict(config), renderer=renderer)
                break
            except ValueError as error:
                if number == len(wanted) - 1:
                    raise InputError(f"{_NAME} gets no picture from {level} ({error}).") from error
            except RuntimeError as error:
                raise InputError(
                    f"{_NAME} cannot use level={level!r} with config={dict(config)} and "
                    f"renderer={renderer!r} ({' '.join(str(error).split())}): mend them."
                ) from error

    def begin(self, seed: int) -> Moment:
        """Starts an episode and gives its first moment."""
        with _prints_on_stderr():
            self._lab.reset(seed=seed)
            return self._look()

    def act(self, action: list[int], num_steps: int) -> tuple[float, Moment | None]:
        """Holds an action for so many frames; the reward, and no moment if the episode is over."""
        with _prints_on_stderr():
            reward = float(self._lab.step(np.array(action, np.intc), num_steps=num_steps))
            # An engine that has stopped refuses to be looked at.
            return reward, self._look() if self._lab.is_running() else None

    def close(self) -> None:
        """Ends the engine."""
        if self._lab is not None:
            with _prints_on_stderr():
                self._lab.close()
        self._lab = None

    def _look(self) -> Moment:
        # The engine may use its buffers again.
        return {
            name: value if isinstance(value, str) else np.array(value)
            for name, value in self._lab.observations().items()
        }


@contextlib.contextmanager
def _prints_on_stderr() -> Iterator[None]:
    """The engine writes to descriptor 1, past Python: send that to stderr meanwhile."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
