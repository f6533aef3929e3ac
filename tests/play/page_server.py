"""A server of the page in another thread, and what talks to it without a browser."""

import asyncio
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from websockets.sync.client import ClientConnection, connect

from worldmodel_env.play.lobby import Lobby
from worldmodel_env.play.server import Server, uvicorn_config
from worldmodel_env.play.session import Session

MakeSession = Callable[..., Session]


@dataclass(frozen=True)
class Answer:
    """A message of the server's, taken apart."""

    header: dict[str, Any]
    payload: bytes

    @classmethod
    def of(cls, message: bytes) -> "Answer":
        (length,) = struct.unpack_from("<I", message)
        return cls(json.loads(message[4 : 4 + length]), message[4 + length :])

    def __getitem__(self, name: str) -> Any:
        return self.header[name]

    def frame(self, index: int, side: int = 32) -> bytes:
        size = side * side * 3
        return self.payload[index * size : (index + 1) * size]

    @property
    def view(self) -> bytes:
        """The imagined frame."""
        return self.frame(self["scene"]["frame"])


@dataclass(frozen=True)
class Serving:
    """A server in another thread."""

    url: str
    lobby: Lobby
    loop: asyncio.AbstractEventLoop

    def drop_all(self) -> None:
        """Close every page's socket, as a lost connection would."""
        for seat in list(self.lobby.seats.values()):
            if seat.socket is not None:
                asyncio.run_coroutine_threadsafe(seat.socket.close(1012), self.loop).result(10)

    @contextmanager
    def page(self, token: str | None = None) -> Iterator["Tab"]:
        """A WebSocket that has said hello."""
        with connect(f"ws{self.url[4:]}/walk", origin=self.url, max_size=None) as socket:
            tab = Tab(socket)
            tab.welcome = tab.ask(type="hello", token=token)
            yield tab


class Tab:
    """One connected page, without the page."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: Answer

    def send(self, text: str | bytes) -> Answer:
        self.socket.send(text)
        message = self.socket.recv(timeout=20)
        assert isinstance(message, bytes)
        return Answer.of(message)

    def ask(self, **message: Any) -> Answer:
        return self.send(json.dumps(message))


@contextmanager
def served(make: Callable[[], Session], most: int = 8) -> Iterator[Serving]:
    lobby = Lobby(make, most=most)
    config = uvicorn_config(Server(lobby).app)
    config.host, config.port = "127.0.0.1", 0
    server = uvicorn.Server(config)
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    end = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Serving(f"http://127.0.0.1:{port}", lobby, loops[0])
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
