"""Start the server, and the browser when it is ready."""

import socket
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.play.album import Album
from worldmodel_env.play.controls import controls_of
from worldmodel_env.play.dreams import Dreams
from worldmodel_env.play.lobby import Lobby
from worldmodel_env.play.session import Session
from worldmodel_env.play.truth import Simulator, Truth

LOCAL = "127.0.0.1"


def play(
    world: World,
    *,
    host: str = LOCAL,
    port: int = 0,
    record: Path | None = None,
    simulator: Simulator | None = None,
    threads: int = 1,
    browser: bool = True,
) -> None:
    """Serve the page until interrupted.

    Args:
        world: to walk through.
        host: address or name to bind to.
        port: 0 takes a free one.
        record: folder of recordings.
        simulator: to walk beside.
        threads: CPU threads of a step.
        browser: open the page in the user's browser.

    Raises:
        InputError: a missing package, a port that is taken, a world that keys cannot act in, or a
            simulator that is not the world's.
    """
    try:
        import uvicorn
        import websockets  # noqa: F401  (which uvicorn would miss only later)

        from worldmodel_env.play.server import Server, uvicorn_config
    except ImportError as error:
        raise InputError(
            f"{error.name} is not installed, which the page needs; run "
            '`pip install "worldmodel-env[play]"`.'
        ) from None
    with _bound(host, port) as bound:
        controls = controls_of(world.action_space)
        album = None if record is None else Album(record)
        dreams = Dreams(world, threads=threads)
        if simulator is not None:
            Truth(simulator, world).close()  # now rather than when the page is opened

        def session() -> Session:
            truth = None if simulator is None else Truth(simulator, world)
            return Session(dreams, controls, truth, album)

        server = uvicorn.Server(uvicorn_config(Server(Lobby(session), host).app))
        url = _url(host, bound.getsockname()[1])
        print(f"walk through the world {world.name!r} at {url} (Ctrl-C ends)", flush=True)
        if not _is_loopback(host):
            print(f"bound to {host}: whoever reaches this port can use it", flush=True)
        if browser:
            # The socket listens already, so the page waits if it must; and a text browser would
            # not return.
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.run(sockets=[bound])


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port is {port}; give 0 to {(1 << 16) - 1}, 0 for a free one.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.create_server(address[:2], family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen at {host}, port {port} ({error}); give another --port, or 0 for a free "
            "one."
        ) from None
    with bound:
        yield bound


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
