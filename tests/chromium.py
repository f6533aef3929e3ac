"""A headless Chromium driven over its DevTools protocol: a page, JavaScript, keys, pictures."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
)
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "Space": 32, "Backspace": 8}


def find() -> str | None:
    """The browser's path, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab."""

    def __init__(self, browser: "Browser", target: str) -> None:
        self._browser = browser
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self._browser.call(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 15.0) -> None:
        """Until an expression holds."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"{condition} did not come true; {self.run(STATE)}"
            time.sleep(0.02)

    def resize(self, width: int, height: int, *, dark: bool = True, phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone,
        )  # fmt: skip
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def down(self, code: str, *, again: bool = False) -> None:
        self._key("rawKeyDown", code, autoRepeat=again)

    def up(self, code: str) -> None:
        self._key("keyUp", code)

    def press(self, code: str) -> None:
        self.down(code)
        self.up(code)

    def touch(self, selector: str) -> None:
        """A finger taps the middle of an element."""
        x, y = self.run(
            f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def _key(self, kind: str, code: str, **parameters: Any) -> None:
        key = {"key": " " if code == "Space" else code}
        number = {"windowsVirtualKeyCode": KEYS.get(code, ord(code[-1]))}
        self.call("Input.dispatchKeyEvent", type=kind, code=code, **key, **number, **parameters)


WATCH = """
window.errors = [];
window.sockets = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("unhandledrejection", (event) => errors.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => errors.push(event.violatedDirective));
window.WebSocket = class extends WebSocket {
  constructor(...parameters) {
    super(...parameters);
    sockets.push(this);
  }
};
"""
"""Runs before a page's own scripts: what goes wrong is kept, and every socket is at hand."""

STATE = "[document.readyState, location.href, window.errors, document.body.innerText].join(' ')"


class Browser:
    """A running browser."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._calls = 0
        self._targets: list[str] = []

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol; events that come meanwhile are left aside."""
        self._calls += 1
        command: dict[str, Any] = {"id": self._calls, "method": method, "params": parameters}
        if session is not None:
            command["sessionId"] = session
        self._socket.send(json.dumps(command))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url: str) -> Page:
        """A new tab that shows `url`."""
        self._targets.append(self.call("Target.createTarget", url="about:blank")["targetId"])
        page = Page(self, self._targets[-1])
        page.call("Page.navigate", url=url)
        page.wait(f"location.href.startsWith({url!r}) && document.readyState === 'complete'")
        return page

    def close_all(self) -> None:
        """Close every tab that was opened here."""
        while self._targets:
            self.call("Target.closeTarget", targetId=self._targets.pop())


@contextmanager
def running(folder: Path) -> Iterator[Browser]:
    """Start a browser whose profile is in `folder`; it ends with the block."""
    program = find()
    assert program is not None
    log = (folder / "chromium.log").open("wb")
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
        stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    try:
        told = folder / "profile" / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not told.exists() or len(lines := told.read_text().splitlines()) < 2:
            assert process.poll() is None, (folder / "chromium.log").read_text()
            assert time.monotonic() < end, "Chromium does not start"
            time.sleep(0.05)
        with connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", max_size=None) as socket:
            yield Browser(socket)
    finally:
        process.terminate()
        process.wait(20)
        log.close()
