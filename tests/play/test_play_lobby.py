"""How many sessions there are, whose, and for how long; and how often a page may ask."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.play import rate
from worldmodel_env.play.lobby import IDLE_SECONDS, KEPT_SECONDS, Lobby


@dataclass(eq=False)
class FakeSession:
    closed: bool = False

    def close(self) -> None:
        assert not self.closed
        self.closed = True


@dataclass
class Rig:
    """A lobby of three places, with a clock that is set by hand."""

    now: float = 0.0
    made: list[FakeSession] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lobby = Lobby(self.make, most=3, clock=lambda: self.now)  # type: ignore[arg-type]

    def make(self) -> FakeSession:
        self.made.append(FakeSession())
        return self.made[-1]

    def claim(self, token: str | None, page: object) -> Any:
        return self.lobby.claim(token, page)  # type: ignore[arg-type]


def test_a_token_gives_a_session_back_and_nothing_else_does() -> None:
    rig = Rig()
    first, before, resumed = rig.claim(None, page := object())
    assert (before, resumed) == (None, False)
    rig.lobby.leave(first, page)
    again, before, resumed = rig.claim(first.token, object())
    assert again is first
    assert (before, resumed) == (None, True)
    other, _, resumed = rig.claim("guessed", object())
    assert other is not first
    assert not resumed
    assert other.token not in ("guessed", first.token)
    assert len(other.token) >= 32


def test_another_page_takes_over_and_the_first_one_leaving_changes_nothing() -> None:
    rig = Rig()
    seat, _, _ = rig.claim(None, one := object())
    same, before, _ = rig.claim(seat.token, two := object())
    assert same is seat
    assert before is one
    rig.lobby.leave(seat, one)
    assert seat.socket is two


def test_places_are_bounded_and_a_session_without_page_makes_room() -> None:
    rig = Rig()
    pages = [object() for _ in range(3)]
    seats = [rig.claim(None, page)[0] for page in pages]
    with pytest.raises(InputError, match="all 3 places are taken"):
        rig.claim(None, object())
    assert len(rig.made) == 3
    for i in (1, 0):
        rig.now += 1
        rig.lobby.leave(seats[i], pages[i])
    rig.claim(None, object())
    assert [session.closed for session in rig.made] == [False, True, False, False]


def test_time_runs_out() -> None:
    rig = Rig()
    gone, _, _ = rig.claim(None, page := object())
    rig.claim(None, idle := object())
    rig.lobby.leave(gone, page)
    rig.now = KEPT_SECONDS
    assert rig.lobby.sweep() == []
    assert not rig.made[0].closed
    rig.now = IDLE_SECONDS + 1
    assert rig.lobby.sweep() == [idle]
    assert [session.closed for session in rig.made] == [True, False]
    rig.lobby.close()
    assert rig.made[1].closed
    assert rig.lobby.seats == {}


def test_who_asks_too_often_waits() -> None:
    now = 0.0
    bucket = rate.Rate(lambda: now)
    assert [bucket.wait() for _ in range(int(rate.BURST))] == [0.0] * int(rate.BURST)
    waits = [bucket.wait() for _ in range(60)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(60 / rate.PER_SECOND)
    now = 3600.0
    assert bucket.wait() == 0
