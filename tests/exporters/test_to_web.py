"""The page of a world: written whole, and in a real browser the same world as natively."""

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import chromium
import numpy as np
import pytest
import torch
from nano import make_nano

from exporters import ort_web
from exporters.to_web import to_web
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.onnxruntime_backend import OnnxRuntime
from worldmodel_env.models.mixers.state import is_ring

PACKAGE = ort_web.default_package()
STEPS = 10

WALK = """(async () => {
  const { World } = await import("./world.js");
  const world = await World.load("wasm");
  const plain = (state) => Object.fromEntries(
    Object.entries(state).map(([name, { data }]) => [name, Array.from(data, Number)]));
  const given = %s;
  let state = await world.begin(world.about.starts[0]);
  const states = [plain(state)], frames = [Array.from(await world.decode(state))], told = [];
  for (const { action, noise } of given) {
    const out = await world.step(state, action, Float32Array.from(noise));
    state = out.state;
    states.push(plain(state));
    frames.push(Array.from(out.frame));
    told.push([out.reward, out.termination, out.surprise]);
  }
  return { states, frames, told };
})()"""

NOISE = """import("./noise.js").then(({ uniform, randomKey }) =>
  [randomKey() >= 0n && randomKey() !== randomKey(), ...%s.map(([key, step]) =>
    Array.from(uniform(BigInt(key), step, 9)))])"""


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def package() -> Path:
    if not PACKAGE.is_file():
        pytest.skip(f"no {PACKAGE.name} in the cache: `make web-runtime` fetches it")
    return PACKAGE


@pytest.fixture(scope="module")
def site(package, exported_nano, nano_world, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("web") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(exported_nano))
        return to_web(str(nano_world), out, package)


@pytest.fixture(scope="module")
def page(site, tmp_path_factory) -> Iterator[chromium.Page]:
    if chromium.find() is None:
        pytest.skip("no Chromium here: `apt-get install chromium` brings one")
    handler = functools.partial(Handler, directory=str(site))
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        chromium.running(tmp_path_factory.mktemp("chromium")) as browser,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.open(f"http://127.0.0.1:{server.server_port}/?on=wasm")
        page.wait("document.body.dataset.state !== 'loading'", 60)
        yield page
        server.shutdown()


def test_a_walk_is_that_of_native_onnx_runtime(page, made, nano):
    """The browser walks by itself; natively each step is taken from the browser's states."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(1e-6, 1 - 1e-6, (STEPS, *made.noise_shape("step"))).astype(np.float32)
    actions = [int(a) for a in rng.integers(0, 3, STEPS)]
    steps = [
        {"action": a, "noise": n.ravel().tolist()} for a, n in zip(actions, noise, strict=True)
    ]
    seen = page.run(WALK % json.dumps(steps))
    runtime = OnnxRuntime(batch=1, threads=1)
    graph = runtime.load(made, "step")
    described = {x["name"]: x for x in made.manifest["graphs"]["step"]["inputs"]}

    def tensors(state):
        return {
            name: torch.tensor(values, dtype=getattr(torch, described[name]["dtype"])).view(
                1, *described[name]["shape"][1:]
            )
            for name, values in state.items()
        }

    equal = []
    for t in range(STEPS):
        action = {
            "action": torch.tensor(actions[t : t + 1]),
            "noise": torch.tensor(noise[t : t + 1]),
        }
        want = runtime.run(graph, {**tensors(seen["states"][t]), **action})
        got = tensors(seen["states"][t + 1])
        assert torch.equal(got["index"], want["next_index"])
        for name in filter(is_ring, got):
            torch.testing.assert_close(got[name], want[f"next_{name}"], atol=1e-4, rtol=0)
        equal.append(bool((got["codes"] == want["next_codes"]).all()))
        if equal[-1]:
            frame = np.reshape(seen["frames"][t + 1], (32, 32, 3))
            assert np.abs(frame - want["frame"][0].numpy().astype(int)).max() <= 1
            expected = [float(want[k]) for k in ("reward", "termination", "surprise")]
            np.testing.assert_allclose(seen["told"][t], expected, atol=1e-3)
    assert sum(equal) >= STEPS - 1


def test_noise_is_that_of_python(page):
    cases = [(0, 0), (1, 0), (0, 1), (5, 300), ((1 << 62) + 12345, 7), ((1 << 63) - 1, 1 << 20)]
    found = page.run(NOISE % json.dumps([[str(key), step] for key, step in cases]))
    assert found.pop(0) is True
    for (key, step), numbers in zip(cases, found, strict=True):
        want = uniform(torch.tensor([key]), torch.tensor([step]), 9)[0].numpy()
        np.testing.assert_array_equal(np.float32(numbers), want)


def test_keys_walk(page):
    pixels = "Array.from(view.getContext('2d').getImageData(0, 0, 32, 32).data).join()"
    page.wait("steps.textContent === '0 steps'")
    before = page.run(pixels)
    page.down("ArrowUp")
    page.wait("parseInt(steps.textContent) > 2", 30)
    page.up("ArrowUp")
    page.wait("rate.textContent.endsWith('frames/s')")
    assert page.run(pixels) != before
    page.press("KeyN")
    page.wait("steps.textContent === '0 steps'")
    assert page.run("errors") == []
    assert page.run("document.getElementById('status').textContent") == "WebAssembly, one thread"


def test_a_page_is_replaced_and_nothing_else(
    package, exported_nano, nano_world, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(exported_nano))
    out = tmp_path / "site"
    to_web(str(nano_world), out, package)
    (out / "left").write_text("")
    to_web(str(nano_world), out, package)
    assert not (out / "left").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match=r"other holds something else than a page"):
        to_web(str(nano_world), other, package)


def test_the_npm_package_is_pinned(nano_world, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"is not the npm package .*npm pack onnxruntime-web@"):
        to_web(str(nano_world), tmp_path / "site")
    wrong = tmp_path / "wrong.tgz"
    wrong.write_bytes(b"not it")
    with pytest.raises(InputError, match=r"is another file than the npm package"):
        to_web(str(nano_world), tmp_path / "site", wrong)
    assert not (tmp_path / "site").exists()


def test_actions_without_keys_are_refused(tmp_path):
    folder = make_nano("box").save(tmp_path / "box")
    with pytest.raises(InputError, match=r"action space is Box.*choose another world"):
        to_web(str(folder), tmp_path / "site")
    assert not (tmp_path / "site").exists()
