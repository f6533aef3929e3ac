"""A world's page in a browser: `python -m benchmarks.browser`.

Walks in headless Chromium, in one thread of WebAssembly, by the page's own scripts. Needs Chromium
and `make web-runtime`.
"""

import functools
import json
import os
import queue
import shutil
import statistics
import subprocess
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import tyro

from benchmarks.report import report
from exporters.ort_web import default_package
from exporters.to_web import to_web
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 300
"""Seconds until a browser that does not answer is given up."""
MEASURE = """<!doctype html><script type="module">
import { World } from "./world.js";
const world = await World.load("wasm");
let state = await world.begin(world.about.starts[0]);
const times = [];
for (let i = 0; i < %d; i++) {
  const began = performance.now();
  ({ state } = await world.step(state, 2, world.noise(7n, state)));
  times.push(performance.now() - began);
}
await fetch("/times", { method: "POST", body: JSON.stringify(times) });
</script>
"""


class _Answers(SimpleHTTPRequestHandler):
    """Serves the page and takes its answer."""

    def __init__(self, *args: Any, answers: "queue.Queue[list[float]]", **kwargs: Any) -> None:
        self._answers = answers
        super().__init__(*args, **kwargs)

    def do_POST(self) -> None:
        self._answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main(
    world: str = "maze", frames: int = 200, out: Path = Path("benchmarks/results/browser.json")
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        frames: how many steps, of which the first tenth is not counted.
        out: where the JSON goes.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        site = to_web(world, Path(folder) / "site", default_package())
        (site / "measure.html").write_text(MEASURE % frames)
        times = walk(site, Path(folder) / "profile")[frames // 10 :]
    middle = statistics.median(times)
    results = {
        "WebAssembly, ms a frame": middle,
        "WebAssembly, frames/s": 1000 / statistics.mean(times),
    }
    report(results, out, cores=1, world=World.load(world))


def walk(site: Path, profile: Path) -> list[float]:
    """Milliseconds of each step in the browser.

    Raises:
        InputError: no Chromium, or it does not answer.
    """
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        raise InputError("no Chromium is installed; `apt-get install chromium` brings one.")
    answers: queue.Queue[list[float]] = queue.Queue()
    handler = functools.partial(_Answers, directory=str(site), answers=answers)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/measure.html"
        quiet = subprocess.DEVNULL
        browser = subprocess.Popen([program, *flags, url], stdout=quiet, stderr=quiet)
        try:
            return answers.get(timeout=PATIENCE)
        except queue.Empty:
            raise InputError(f"{program} did not answer within {PATIENCE} seconds.") from None
        finally:
            browser.terminate()
            browser.wait(20)
            server.shutdown()


if __name__ == "__main__":
    tyro.cli(main)
