"""Who is let in."""

import pytest

from worldmodel_env.play.guard import host_allowed, origin_allowed


@pytest.mark.parametrize(
    ("host", "own", "allowed"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("localhost:9999", "127.0.0.1", True),
        ("[::1]:8000", "127.0.0.1", True),
        ("192.168.1.7:8000", "0.0.0.0", True),
        ("den:8000", "den", True),
        ("DEN:8000", "den", True),
        ("evil.example:8000", "127.0.0.1", False),
        ("127.0.0.1.evil.example:8000", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("evil.example@127.0.0.1", "127.0.0.1", False),
        ("[::1", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        (None, "127.0.0.1", False),
    ],
)
def test_hosts(host: str | None, own: str, allowed: bool) -> None:
    assert host_allowed(host, own) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:8000", True),
        ("https://127.0.0.1:8000", True),
        ("http://127.0.0.1:3000", False),
        ("http://localhost:8000", False),
        ("http://evil.example", False),
        ("http://127.0.0.1:8000.evil.example", False),
        ("null", False),
        ("", False),
        (None, False),
    ],
)
def test_origins(origin: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, "127.0.0.1:8000") is allowed
