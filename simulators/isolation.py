"""Runs an object in a process of its own: what crashes there, leaks there or is global there.

The child is a fresh interpreter, whatever the caller has imported or started. POSIX only, as are
the engines that need it.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from simulators.interpreter import command
from worldmodel_env.errors import InputError


class Isolated:
    """An instance of "module:Class" elsewhere; `call` calls its methods."""

    def __init__(self, target: str, kwargs: Mapping[str, Any]) -> None:
        """Starts the process and makes the object; raises what its constructor raises."""
        self._target = target
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                command("simulators.isolation", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # engines print there; stdout is the caller's
            )
        self._connection = Connection(ours.detach())
        try:
            self._ask(target, dict(kwargs))
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *arguments: Any) -> Any:
        """What the method returns; InputError as there, any other exception as a RuntimeError."""
        return self._ask(method, arguments)

    def close(self) -> None:
        """Ends the process; may be called again."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _ask(self, *question: Any) -> Any:
        try:
            self._connection.send(question)
            kind, content = self._connection.recv()
        except (EOFError, OSError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            raise RuntimeError(f"the process of {self._target} died ({self._status()})") from error
        if kind == "refused":
            raise InputError(content)
        if kind == "failed":
            raise RuntimeError(content)
        return content

    def _status(self) -> str:
        status = self._process.poll()
        if status is not None and status < 0:
            return signal.Signals(-status).name
        return f"status {status}"


def _serve(connection: Connection) -> None:
    made: Any = None
    while True:
        try:
            name, arguments = connection.recv()
        except EOFError:
            return
        try:
            if made is None:
                module, _, kind = name.partition(":")
                made = getattr(importlib.import_module(module), kind)(**arguments)
                answer = None
            else:
                answer = getattr(made, name)(*arguments)
            connection.send(("done", answer))
        except InputError as error:
            connection.send(("refused", str(error)))
        except Exception as error:
            connection.send(("failed", f"{type(error).__name__}: {error}"))


def main() -> None:
    """The child: make what is asked for, then call its methods until the caller is gone."""
    _serve(Connection(int(sys.argv[1])))
