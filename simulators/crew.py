"""Processes that record episodes, watched over: one that dies or hangs is replaced.

An episode is a pure function of its seed, so one that was lost is simply played again, in a fresh
simulator. Whole episodes are never at risk: only a finished one is put into its place, at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simulators.interpreter import command
from simulators.rollout import Recipe
from worldmodel_env.errors import InputError

ATTEMPTS = 3
"""How often an episode is tried before it is given up."""

Kind = Literal["crash", "hang"]


@dataclass(frozen=True)
class Recorded:
    """An episode that is on disk."""

    seed: int
    steps: int
    bytes: int


@dataclass(frozen=True)
class Trouble:
    """An attempt at an episode that came to nothing.

    Attributes:
        seed: the episode's.
        kind: "crash": the simulator died or raised; "hang": it did not take a step in time.
        reason: what is known, for people.
        final: True if the episode was given up with it.
    """

    seed: int
    kind: Kind
    reason: str
    final: bool


def record_with_crew(
    data: Path, recipe: Recipe, seeds: Iterable[int], workers: int, patience: float
) -> Generator[Recorded | Trouble, None, None]:
    """Record the episodes of `seeds` with so many processes; yield what happens as it happens.

    Args:
        data: the data set's `data` folder.
        recipe: what to record.
        seeds: of the episodes.
        workers: number of processes.
        patience: seconds that a simulator may take for one step, or to start and reset.

    Raises:
        InputError: as soon as a worker meets one.
    """
    crew = _Crew(data, recipe, seeds, patience)
    try:
        yield from crew.run(workers)
    finally:
        crew.stop()


class _Crew:
    def __init__(self, data: Path, recipe: Recipe, seeds: Iterable[int], patience: float) -> None:
        self._order = {
            "data": str(data.absolute()),
            "simulator": recipe.simulator,
            "env_kwargs": dict(recipe.env_kwargs),
            "policy": recipe.policy,
            "max_steps": None,
        }
        self._seeds = iter(seeds)
        self._patience = patience
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[Recorded | Trouble | Exception | None] = queue.SimpleQueue()
        self._processes: set[_Process] = set()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self, workers: int) -> Iterator[Recorded | Trouble]:
        self._threads = [
            *(threading.Thread(target=self._serve, daemon=True) for _ in range(workers)),
            threading.Thread(target=self._watch, daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        busy = workers
        while busy:
            event = self._events.get()
            if isinstance(event, Exception):
                raise event
            if event is None:
                busy -= 1
            else:
                yield event

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            for process in self._processes:
                process.kill()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """One worker's place: give it seeds, replace it when it fails."""
        process: _Process | None = None
        try:
            while not self._stopped.is_set() and (seed := self._next()) is not None:
                for attempt in range(1, ATTEMPTS + 1):
                    process = process or self._start()
                    event = process.record(seed, final=attempt == ATTEMPTS)
                    if self._stopped.is_set():
                        return
                    self._events.put(event)
                    if isinstance(event, Recorded):
                        break
                    self._end(process)
                    process = None
        except Exception as error:
            self._events.put(error)
        finally:
            if process is not None:
                self._end(process)
            self._events.put(None)

    def _next(self) -> int | None:
        with self._lock:
            return next(self._seeds, None)

    def _start(self) -> _Process:
        process = _Process(self._order)
        with self._lock:
            self._processes.add(process)
            if self._stopped.is_set():
                process.kill()
        return process

    def _end(self, process: _Process) -> None:
        with self._lock:
            self._processes.discard(process)
        process.end()

    def _watch(self) -> None:
        while not self._stopped.wait(min(1.0, self._patience / 4)):
            with self._lock:
                for process in self._processes:
                    if process.silent_for() > self._patience:
                        process.hung = True
                        process.kill()


class _Process:
    """One worker and the pipes to it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.hung = False
        self._heard: float | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (what it and its engine print)
        self._process = subprocess.Popen(
            command("simulators.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            encoding="utf-8",
            env={"OMP_NUM_THREADS": "1", **os.environ},
            # A group of its own: it ends with its engines, and Ctrl-C is left to us.
            start_new_session=True,
        )
        with contextlib.suppress(OSError):  # it died already; `record` will tell
            self._send(order)

    def record(self, seed: int, *, final: bool) -> Recorded | Trouble:
        """Have an episode recorded; blocks until it is, or the worker fails."""
        self._heard = time.monotonic()
        with contextlib.suppress(OSError):
            self._send(seed)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._heard = time.monotonic()
            try:
                answer = json.loads(line)
            except ValueError:
                continue  # cut off by the worker's death
            if "beat" in answer:
                continue
            self._heard = None
            if "refused" in answer:
                raise InputError(answer["refused"])
            if "failed" in answer:
                return Trouble(seed, "crash", answer["failed"], final)
            return Recorded(**answer)
        self._heard = None
        if self.hung:
            return Trouble(seed, "hang", "it took no step in time" + self._last_words(), final)
        return Trouble(seed, "crash", self._ending() + self._last_words(), final)

    def silent_for(self) -> float:
        """Seconds since the worker was last heard while it should be working."""
        heard = self._heard
        return 0.0 if heard is None else time.monotonic() - heard

    def kill(self) -> None:
        """End it at once, with all it started; safe at any time, any number of times."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def end(self) -> None:
        """End it and let go of everything."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._said.close()

    def _send(self, content: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(content) + "\n")
        self._process.stdin.flush()

    def _ending(self) -> str:
        status = self._process.wait()
        if status >= 0:
            return f"its process ended with status {status}"
        with contextlib.suppress(ValueError):
            return f"its process was ended by {signal.Signals(-status).name}"
        return f"its process was ended by signal {-status}"

    def _last_words(self) -> str:
        self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, self._said.tell() - 2000))
        lines = self._said.read().decode(errors="replace").split("\n")
        spoken = [line.strip() for line in lines if line.strip()]
        return f" ({spoken[-1][:200]})" if spoken else ""
