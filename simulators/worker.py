"""A process that records episodes on request, started by a crew.

It reads JSON lines: first what to record, then one seed after another. It answers each with any
number of {"beat": true} and then one line that says how it went. When its input ends, its crew is
gone: it stops at once, wherever it is, together with the engines it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from simulators.rollout import Player, Recipe, record_one
from worldmodel_env.data import schema
from worldmodel_env.errors import InputError

_BEAT_SECONDS = 0.2


def main() -> None:
    """Serve until the input ends."""
    orders, answers = _private_channel()
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders, lines), daemon=True).start()

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    order = json.loads(lines.get())
    data = Path(order.pop("data"))
    recipe = Recipe.check(**order)
    player: Player | None = None
    playing = ""
    beat = _beat(answer)
    while True:
        seed = json.loads(lines.get())
        try:
            split = schema.split_of(seed)
            if player is None or playing != split:
                if player is not None:
                    player.close()
                player, playing = Player(recipe, split), split
            steps, size = record_one(data, player, seed, beat)
            answer({"seed": seed, "steps": steps, "bytes": size})
        except InputError as error:
            answer({"refused": str(error)})
        except Exception as error:
            answer({"failed": f"{type(error).__name__}: {error}"})
            with contextlib.suppress(Exception):
                if player is not None:
                    player.close()
            player = None


def _private_channel() -> tuple[TextIO, TextIO]:
    """Keep our pipes to ourselves: engines print to descriptor 1, and may read from 0."""
    orders = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return orders, answers


def _read(orders: TextIO, lines: queue.SimpleQueue[str]) -> None:
    for line in orders:
        lines.put(line)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the engines too
    os._exit(0)


def _beat(answer: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
    """What tells the crew at each step, but not too often, that the simulator is alive."""
    last = 0.0

    def beat() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last > _BEAT_SECONDS:
            last = now
            answer({"beat": True})

    return beat
