"""The other end of the bridge: MineRL in its own interpreter, as calls."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from simulators.frames import Frame
from worldmodel_env.errors import InputError

_NAME = "SimMinecraft-v0"
_BRIDGE = Path(__file__).parent / "bridge.py"


class Game:
    """A process that runs `bridge.py`."""

    def __init__(self, python: str, level: str, size: int, fake: bool) -> None:
        """Starts it and makes the environment; InputError if MineRL is not there."""
        interpreter = shutil.which(python or sys.executable)
        if interpreter is None:
            raise InputError(f"{_NAME} finds no Python at {python!r}: give one that has MineRL.")
        # Its own packages only: ours are too new for it.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
        self._process = subprocess.Popen(
            [interpreter, str(_BRIDGE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=kept,
            start_new_session=True,  # so that the game can be ended with it
        )
        try:
            made, _ = self.ask("make", level=level, size=size, fake=fake)
        except RuntimeError as error:
            self.close()
            if "ModuleNotFoundError" in str(error):
                raise InputError(
                    f"{_NAME} finds no MineRL in {interpreter} ({error}): install it into an "
                    "environment of its own, as docs/simulators.md says, and give python=PATH."
                ) from error
            raise InputError(f"{_NAME} cannot make level={level!r} ({error}): mend it.") from error
        self.actions: list[str] = made["actions"]
        self.version: str = made["version"]

    def ask(self, name: str, **arguments: Any) -> tuple[dict[str, Any], Frame | None]:
        """What the bridge answers, and the frame that came with it; RuntimeError if it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = b""
        if not line:
            raise RuntimeError(f"MineRL's process died at {name!r}: make a new environment")
        answer = json.loads(line)
        if "failed" in answer:
            raise RuntimeError(answer["failed"])
        if "shape" not in answer:
            return answer, None
        content = self._process.stdout.read(int(np.prod(answer["shape"])))
        return answer, np.frombuffer(content, np.uint8).reshape(answer["shape"])

    def close(self) -> None:
        """Ends the process and the game; may be called again."""
        if self._process.poll() is None:
            with contextlib.suppress(RuntimeError):
                self.ask("close")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert pipe is not None
                pipe.close()
