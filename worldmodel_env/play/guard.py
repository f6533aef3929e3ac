"""Who may talk to the server: this machine's browser, showing our own page, and nobody else.

A page of another site, open in the same browser, could otherwise open a WebSocket to a port of this
machine: its Origin gives it away. And a site could let its name point to 127.0.0.1 (DNS rebinding):
the Host header then holds that name. An address cannot be made to point elsewhere.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


def host_allowed(host: str | None, own: str) -> bool:
    """Whether a Host header names this machine: an address, localhost, or the name given to it.

    Args:
        host: the header, "name" or "name:port".
        own: what the server was told to bind to.
    """
    try:
        name = urlsplit(f"//{host}").hostname
        if name is None or host is None or "@" in host or "/" in host:
            return False
        if name in ("localhost", own.lower()):
            return True
        ip_address(name)
        return True
    except ValueError:
        return False


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """Whether an Origin header is that of the page which this server sent."""
    return host is not None and origin in (f"http://{host}", f"https://{host}")


class Guard:
    """Refuses strangers before they reach the application, and forbids pages to reach out."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        """Guard `app`, which is bound to `host`."""
        self._app, self._host = app, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request, or answer 403."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host")
        allowed = host_allowed(host, self._host)
        if scope["type"] == "websocket":
            allowed = allowed and origin_allowed(headers.get("origin"), host)
            if not allowed:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        if not allowed:
            refusal = PlainTextResponse("This page is served to this machine only.", 403)
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self._app(scope, receive, send_with_headers)
