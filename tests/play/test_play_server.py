"""The server through real sockets."""

import http.client
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from page_server import MakeSession, Serving, served
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from worldmodel_env.play.rate import BURST, PER_SECOND


def fetch(url: str, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.content = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def test_the_page_is_served_and_may_load_nothing_else(serving: Serving) -> None:
    for path, kind in (("/", "text/html"), ("/main.js", "text/javascript"), ("/style.css", "text")):
        answer = fetch(serving.url, path)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert fetch(serving.url, "/../server.py").status == 404
    assert fetch(serving.url, "/walk").status == 404


def test_a_name_that_was_pointed_here_is_refused(serving: Serving) -> None:
    port = urlsplit(serving.url).port
    assert fetch(serving.url, "/", Host=f"evil.example:{port}").status == 403
    assert fetch(serving.url, "/", Host=f"localhost:{port}").status == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
def test_a_page_of_another_site_is_refused(serving: Serving, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        connect(f"ws{serving.url[4:]}/walk", origin=origin)  # type: ignore[arg-type]
    assert refusal.value.response.status_code == 403
    assert serving.lobby.seats == {}


def test_two_pages_walk_two_ways(serving: Serving) -> None:
    with serving.page() as one, serving.page() as other:
        assert one.welcome["token"] != other.welcome["token"]
        one.ask(type="begin", start=0)
        other.ask(type="begin", start=1)
        for _ in range(3):
            one.ask(type="act", control=2)
        assert other.ask(type="seek", elapsed=0)["scene"]["last"] == 0
        assert one.ask(type="seek", elapsed=2)["scene"]["last"] == 3


def test_a_walk_goes_on_after_a_lost_connection(serving: Serving) -> None:
    with serving.page() as tab:
        token = tab.welcome["token"]
        tab.ask(type="act", control=2)
        last = tab.ask(type="act", control=0)
        tab.ask(type="keep")
        serving.drop_all()
        with pytest.raises(ConnectionClosed):
            tab.ask(type="keep")
    with serving.page(token) as tab:
        assert tab.welcome["resumed"]
        assert tab.welcome["token"] == token
        assert tab.welcome.view == last.view
        assert [mark["control"] for mark in tab.welcome["walk"]["marks"]] == [None, 2, 0]
        assert len(tab.welcome["moments"]) == 1


def test_a_second_page_takes_the_walk_over(serving: Serving) -> None:
    with serving.page() as one, serving.page(one.welcome["token"]) as two:
        with pytest.raises(ConnectionClosed) as end:
            one.socket.recv(timeout=10)
        assert end.value.rcvd is not None
        assert end.value.rcvd.code == 4001
        assert two.ask(type="act", control=0)["scene"]["elapsed"] == 1
    assert len(serving.lobby.seats) == 1


def test_sessions_are_bounded(make_session: MakeSession) -> None:
    with served(make_session, most=2) as serving, serving.page(), serving.page():
        with serving.page() as third:
            assert third.welcome["type"] == "error"
            assert "all 2 places are taken" in third.welcome["message"]
            with pytest.raises(ConnectionClosed):
                third.socket.recv(timeout=10)
        assert len(serving.lobby.seats) == 2


@pytest.mark.parametrize("text", ["x", "{}", '{"type":"act","control":0}', b"\x00\x01"])
def test_who_does_not_say_hello_gets_no_session(serving: Serving, text: str | bytes) -> None:
    with connect(f"ws{serving.url[4:]}/walk", origin=serving.url) as socket:  # type: ignore[arg-type]
        socket.send(text)
        assert b"error" in bytes(socket.recv(timeout=10))  # type: ignore[arg-type]
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=10)
    assert serving.lobby.seats == {}


def test_hostile_messages_change_nothing(serving: Serving) -> None:
    from test_play_messages import HOSTILE

    with serving.page() as tab:
        before = tab.ask(type="act", control=2)
        for text in (*HOSTILE, b"\xff\xfe", b"{}"):
            assert tab.send(text)["type"] == "error", text
        after = tab.ask(type="seek", elapsed=1)
        assert after.view == before.view
        assert after["scene"]["last"] == 1


def test_a_huge_message_ends_the_connection_and_not_the_walk(serving: Serving) -> None:
    with serving.page() as tab:
        token = tab.welcome["token"]
        tab.ask(type="act", control=2)
        with pytest.raises(ConnectionClosed) as end:
            tab.send("x" * 1_000_000)
        assert end.value.rcvd is None or end.value.rcvd.code == 1009
    with serving.page(token) as tab:
        assert tab.welcome["scene"]["elapsed"] == 1


def test_a_flood_is_slowed_down(serving: Serving) -> None:
    count = int(BURST + PER_SECOND)
    with serving.page() as tab:
        began = time.monotonic()
        for _ in range(count):
            tab.socket.send("flood")
        for _ in range(count):
            tab.socket.recv(timeout=20)
        assert time.monotonic() - began > 0.8


def test_an_engine_that_fails_is_told_and_survived(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worldmodel_env.play.dreams import Dreams

    with serving.page() as tab:
        first = tab.ask(type="act", control=2)
        with monkeypatch.context() as patch:
            patch.setattr(Dreams, "step", lambda *_: 1 / 0)
            assert "the walk is as it was" in tab.ask(type="act", control=2)["message"]
        assert tab.ask(type="seek", elapsed=1).view == first.view


def test_no_file_of_the_page_is_missing_or_fetches_from_elsewhere() -> None:
    from worldmodel_env.play.server import PAGE

    text = "".join(path.read_text() for path in Path(PAGE).iterdir())
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in text
