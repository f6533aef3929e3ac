"""The page in a real browser."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from page_server import MakeSession, Serving, served

from worldmodel_env.play.simulator import Simulator

OPEN = "document.getElementById('link').dataset.state === 'open' && errors.length === 0"
BESIDE = (
    "document.body.classList.contains('compared') && truth.getBoundingClientRect().right"
    " <= document.querySelector('.panel').getBoundingClientRect().left"
)
LATE = """
window.WebSocket = class extends WebSocket {
  set onmessage(hear) {
    this.addEventListener("message", (message) => setTimeout(() => hear(message), 300));
  }
};
"""
PIXELS = """(() => {
  const canvas = document.getElementById('%s');
  const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  return btoa(String.fromCharCode(...data.filter((_, i) => i %% 4 !== 3)));
})()"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Browser]:
    if chromium.find() is None:
        pytest.skip("no Chromium here: `apt-get install chromium` brings one")
    with chromium.running(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def browser(program: chromium.Browser) -> Iterator[chromium.Browser]:
    yield program
    program.close_all()


def visit(browser: chromium.Browser, serving: Serving) -> chromium.Page:
    page = browser.open(serving.url)
    page.resize(1280, 800)
    page.wait(OPEN)
    return page


def pixels(page: chromium.Page, canvas: str = "view") -> bytes:
    return base64.b64decode(page.run(PIXELS % canvas))


def step(page: chromium.Page) -> int:
    return int(page.run("document.getElementById('elapsed').textContent"))


def press(page: chromium.Page, code: str, expected: int) -> bytes:
    """Press a key and wait for the step that it leads to; returns the view."""
    page.press(code)
    page.wait(f"document.getElementById('elapsed').textContent === '{expected}'")
    return pixels(page)


def test_keys_move_the_view_and_it_is_the_servers(
    browser: chromium.Browser, serving: Serving
) -> None:
    page = visit(browser, serving)
    (seat,) = serving.lobby.seats.values()
    views = [pixels(page)]
    for elapsed, key in enumerate(("ArrowUp", "ArrowLeft", "KeyW", "KeyD"), 1):
        views.append(press(page, key, elapsed))
        assert views[-1] == seat.session._walk.scene.frame.tobytes()
    assert len(set(views)) == 5
    for elapsed in (3, 2, 1, 0):
        assert press(page, "Backspace", elapsed) == views[elapsed]
    page.run("(time.value = 3, time.dispatchEvent(new Event('input')))")
    page.wait("document.getElementById('elapsed').textContent === '3'")
    assert pixels(page) == views[3]
    assert page.run("errors") == []


def test_a_key_is_one_step_turn_by_turn_and_many_when_live(
    browser: chromium.Browser, serving: Serving
) -> None:
    page = visit(browser, serving)
    page.down("ArrowUp")
    for _ in range(5):
        page.down("ArrowUp", again=True)
    page.wait("document.getElementById('elapsed').textContent === '1'")
    time.sleep(0.3)
    page.up("ArrowUp")
    assert step(page) == 1
    page.run("document.querySelector('input[value=live]').click()")
    page.down("ArrowUp")
    page.wait("Number(document.getElementById('elapsed').textContent) >= 6")
    page.up("ArrowUp")
    page.wait("document.querySelector('.held') === null")
    time.sleep(0.2)
    stood = step(page)
    time.sleep(0.3)
    assert step(page) == stood
    page.press("Space")
    page.wait("pause.getAttribute('aria-pressed') === 'true'")
    press(page, "ArrowUp", stood + 1)


def test_the_walk_goes_on_after_the_server_dropped_the_socket(
    browser: chromium.Browser, serving: Serving
) -> None:
    page = visit(browser, serving)
    press(page, "ArrowUp", 1)
    before = press(page, "ArrowUp", 2)
    serving.drop_all()
    page.wait("sockets.length === 2 && " + OPEN)
    assert pixels(page) == before
    assert len(serving.lobby.seats) == 1
    press(page, "ArrowLeft", 3)
    page.call("Page.reload")
    page.wait("document.readyState === 'complete' && sockets.length === 1 && " + OPEN)
    assert step(page) == 3


def test_two_tabs_have_two_states(browser: chromium.Browser, serving: Serving) -> None:
    one, other = visit(browser, serving), visit(browser, serving)
    assert len(serving.lobby.seats) == 2
    still = pixels(other)
    press(one, "ArrowUp", 1)
    press(one, "ArrowUp", 2)
    assert step(other) == 0
    assert pixels(other) == still
    press(other, "ArrowLeft", 1)
    assert step(one) == 2


def test_a_hostile_message_changes_nothing(browser: chromium.Browser, serving: Serving) -> None:
    page = visit(browser, serving)
    before = press(page, "ArrowUp", 1)
    for text in ('{"type":"act","control":99}', "[" * 400, '{"type":"act","control":1e99}'):
        page.run(f"(toast.hidden = true, sockets.at(-1).send({text!r}))")
        page.wait("!toast.hidden")
    assert pixels(page) == before
    assert step(page) == 1
    press(page, "ArrowUp", 2)


def test_another_sites_page_cannot_connect(browser: chromium.Browser, serving: Serving) -> None:
    stranger = browser.open("about:blank")
    outcome = stranger.run(
        f"new Promise((done) => {{ const socket = new WebSocket('ws{serving.url[4:]}/walk');"
        "socket.onopen = () => done('open'); socket.onclose = () => done('closed'); })"
    )
    assert outcome == "closed"
    assert serving.lobby.seats == {}


def test_moments_starts_and_sampling(browser: chromium.Browser, serving: Serving) -> None:
    page = visit(browser, serving)
    kept = press(page, "ArrowUp", 1)
    page.press("KeyF")
    page.wait("document.querySelectorAll('#moments canvas').length === 1")
    page.press("KeyC")
    page.wait("document.querySelectorAll('#starts canvas').length === 12")
    page.press("ArrowUp")  # goes to the gallery, not to the walk
    page.run("document.querySelectorAll('#starts button')[7].click()")
    page.wait("!gallery.open && document.getElementById('origin').textContent === 'from start 7'")
    press(page, "ArrowUp", 1)
    press(page, "ArrowUp", 2)
    page.run("document.querySelector('#moments button').click()")
    page.wait(f"{PIXELS % 'view'} === '{base64.b64encode(kept).decode()}'")
    page.run("(steps.value = 5, steps.dispatchEvent(new Event('change')))")
    press(page, "ArrowUp", 2)
    (seat,) = serving.lobby.seats.values()
    assert seat.session._walk.scene.tuning.steps == 5


@pytest.fixture
def compared(make_session: MakeSession, toy: Simulator) -> Iterator[Serving]:
    with served(lambda: make_session(toy)) as running:
        yield running


def test_the_simulator_is_beside_on_request(
    browser: chromium.Browser, compared: Serving, serving: Serving
) -> None:
    page = visit(browser, compared)
    assert pixels(page) == pixels(page, "truth")
    view = press(page, "ArrowUp", 1)
    assert view != pixels(page, "truth")
    assert page.run("!map.hidden && document.getElementById('map-none').hidden")
    page.run("document.querySelector('input[value=watch]').click()")
    assert press(page, "ArrowUp", 2) == pixels(page, "truth")
    plain = visit(browser, serving)
    assert plain.run(
        "simulator.hidden && map.hidden && !document.getElementById('map-none').hidden"
    )


def test_two_views_fit_when_the_server_is_slow(
    browser: chromium.Browser, compared: Serving
) -> None:
    page = visit(browser, compared)
    page.call("Page.addScriptToEvaluateOnNewDocument", source=LATE)
    page.run("location.reload()")  # the window has its size before the page knows of two views
    page.wait(f"document.readyState === 'complete' && {BESIDE}")


@pytest.mark.parametrize("dark", [True, False])
def test_the_page_fits_and_can_be_used_without_eyes(
    browser: chromium.Browser, compared: Serving, serving: Serving, dark: bool, tmp_path: Path
) -> None:
    for where in (serving, compared):
        page = visit(browser, where)
        page.resize(1280, 800, dark=dark)
        page.wait(f"view.getBoundingClientRect().width >= {400 if where is compared else 550}")
        assert page.run(
            "[document.documentElement, document.querySelector('.panel')]"
            ".every((box) => box.scrollHeight <= box.clientHeight)"
        )
        nodes = page.call("Accessibility.getFullAXTree")["nodes"]
        seen = [node for node in nodes if not node["ignored"]]
        used = [n for n in seen if n["role"]["value"] in ("button", "slider", "radio")]
        assert len(used) > 10
        assert [n for n in used if not n.get("name", {}).get("value")] == []
        page.screenshot(tmp_path / "page.png")
        assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_finger_walks_on_a_phone(browser: chromium.Browser, serving: Serving) -> None:
    page = visit(browser, serving)
    page.resize(390, 844, phone=True)
    page.wait("document.documentElement.scrollWidth <= 390")
    assert page.run("pad.getBoundingClientRect().bottom <= innerHeight")
    before = pixels(page)
    page.touch("#pad button[aria-label='Step forward']")
    page.wait("document.getElementById('elapsed').textContent === '1'")
    assert pixels(page) != before
