"""The sessions of all tabs: how many, whose, and for how long."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.websockets import WebSocket

from worldmodel_env.errors import InputError
from worldmodel_env.play.session import Session

MOST_SESSIONS = 8
KEPT_SECONDS = 600.0
"""A session without a page waits this long for it to come back."""
IDLE_SECONDS = 1800.0
"""A page that asks for nothing this long is disconnected."""


@dataclass(eq=False)
class Seat:
    """One session and the page that shows it.

    Attributes:
        session: the walk.
        token: what gives it back to its page after a lost connection.
        socket: the page's; None while there is none.
        seen: when the page last asked for something, or left.
    """

    session: Session
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    socket: WebSocket | None = None
    seen: float = 0.0


class Lobby:
    """Hands out seats. All but `touch`, which may be called from anywhere, run in one thread.

    Attributes:
        seats: by token.
    """

    def __init__(
        self,
        make_session: Callable[[], Session],
        *,
        most: int = MOST_SESSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open.

        Args:
            make_session: begins a walk.
            most: sessions at a time.
            clock: seconds.
        """
        self.seats: dict[str, Seat] = {}
        self._make_session, self._most, self._clock = make_session, most, clock

    def claim(self, token: str | None, socket: WebSocket) -> tuple[Seat, WebSocket | None, bool]:
        """A seat for a page: its own if the token is known, else a new one.

        Returns:
            The seat, the socket of the page that held it until now if any, and whether the session
            is an old one.

        Raises:
            InputError: all seats are taken.
        """
        seat = self.seats.get(token or "")
        resumed = seat is not None
        if seat is None:
            self._make_room()
            seat = Seat(self._make_session())
            self.seats[seat.token] = seat
        before, seat.socket = seat.socket, socket
        self.touch(seat)
        return seat, before, resumed

    def touch(self, seat: Seat) -> None:
        """The page of this seat asked for something."""
        seat.seen = self._clock()

    def leave(self, seat: Seat, socket: WebSocket) -> None:
        """A page is gone; its seat waits for it, unless another page has taken it over."""
        if seat.socket is socket:
            seat.socket = None
            self.touch(seat)

    def sweep(self) -> list[WebSocket]:
        """Let go of sessions whose page did not come back; returns sockets of idle pages."""
        now, idle = self._clock(), []
        for seat in list(self.seats.values()):
            if seat.socket is None and now - seat.seen > KEPT_SECONDS:
                self._dismiss(seat)
            elif seat.socket is not None and now - seat.seen > IDLE_SECONDS:
                idle.append(seat.socket)
        return idle

    def close(self) -> None:
        """Let go of all."""
        for seat in list(self.seats.values()):
            self._dismiss(seat)

    def _make_room(self) -> None:
        if len(self.seats) < self._most:
            return
        waiting = [seat for seat in self.seats.values() if seat.socket is None]
        if not waiting:
            raise InputError(
                f"all {self._most} places are taken; close another tab of this page, then reload."
            )
        self._dismiss(min(waiting, key=lambda seat: seat.seen))

    def _dismiss(self, seat: Seat) -> None:
        del self.seats[seat.token]
        seat.session.close()
