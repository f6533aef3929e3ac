"""The web application: one page, and a WebSocket for each tab that shows it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from worldmodel_env.errors import InputError
from worldmodel_env.play.guard import Guard
from worldmodel_env.play.lobby import Lobby, Seat
from worldmodel_env.play.messages import MOST_CHARACTERS, Hello, parse
from worldmodel_env.play.packet import Packet
from worldmodel_env.play.rate import Rate

PAGE = Path(__file__).parent / "page"
HELLO_SECONDS = 10.0
SWEEP_SECONDS = 20.0
CLOSE_TAKEN_OVER, CLOSE_IDLE, CLOSE_REFUSED = 4001, 4002, 4003

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Server:
    """Serves the sessions of a lobby; everything that computes runs in one thread of its own.

    The event loop thus stays free, and the model, which all sessions share, is asked one thing at a
    time.

    Attributes:
        app: the ASGI application.
        lobby: the sessions.
    """

    def __init__(self, lobby: Lobby, host: str = "127.0.0.1") -> None:
        """Serve `lobby` at `host`."""
        self.lobby = lobby
        self._worker = ThreadPoolExecutor(1, "play")
        self.app = Starlette(
            routes=[
                WebSocketRoute("/walk", self._walk),
                Mount("/", StaticFiles(directory=PAGE, html=True)),
            ],
            middleware=[Middleware(Guard, host=host)],
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            sweeping.cancel()
            await self._compute(self.lobby.close)
            self._worker.shutdown()

    async def _compute(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for socket in await self._compute(self.lobby.sweep):
                await _close(socket, CLOSE_IDLE)

    async def _walk(self, socket: WebSocket) -> None:
        await socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            claimed = await self._claim(socket)
            if claimed is None:
                return
            seat, before, resumed = claimed
            try:
                if before is not None:
                    await _close(before, CLOSE_TAKEN_OVER)
                welcome = await self._compute(seat.session.welcome, seat.token, resumed)
                await socket.send_bytes(welcome)
                await self._serve(socket, seat)
            finally:
                await self._compute(self.lobby.leave, seat, socket)

    async def _claim(self, socket: WebSocket) -> tuple[Seat, WebSocket | None, bool] | None:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                received = await socket.receive()
            hello = parse(received.get("text") or "")
            if not isinstance(hello, Hello):
                raise InputError("the first message must say hello; reload the page.")
            return await self._compute(self.lobby.claim, hello.token, socket)
        except TimeoutError:
            await _close(socket, CLOSE_REFUSED)
        except InputError as error:
            await self._refuse(socket, str(error))
        except (RuntimeError, OSError):  # of an engine that does not start, say
            _log.exception("a walk could not begin")
            await self._refuse(socket, "no walk could begin, the server's terminal says why.")
        return None

    @staticmethod
    async def _refuse(socket: WebSocket, why: str) -> None:
        await socket.send_bytes(Packet("error", message=why).encode())
        await _close(socket, CLOSE_REFUSED)

    async def _serve(self, socket: WebSocket, seat: Seat) -> None:
        rate = Rate()
        while True:
            received = await socket.receive()
            if received["type"] == "websocket.disconnect":
                return
            await asyncio.sleep(rate.wait())
            if seat.socket is not socket:  # taken over meanwhile
                return
            self.lobby.touch(seat)
            await socket.send_bytes(await self._answer(seat, received.get("text")))

    async def _answer(self, seat: Seat, text: str | None) -> bytes:
        try:
            if text is None:
                raise InputError("messages are text; reload the page.")
            return await self._compute(seat.session.handle, parse(text))
        except InputError as error:
            return Packet("error", message=str(error)).encode()
        except Exception:  # of an engine, say: the walk is as it was, and the page is told
            _log.exception("a message failed")
            failed = "that failed, the server's terminal says why; the walk is as it was."
            return Packet("error", message=failed).encode()


def uvicorn_config(app: Starlette) -> uvicorn.Config:
    """How the application is to be served: quietly, with small messages, frames uncompressed."""
    return uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_max_size=4 * MOST_CHARACTERS,  # bytes
        ws_per_message_deflate=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=3,
    )


async def _close(socket: WebSocket, code: int) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it closed by itself
        await socket.close(code)
