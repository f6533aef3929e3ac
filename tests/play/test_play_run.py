"""`worldmodel play`, as a person starts and ends it."""

import re
import signal
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest
from gymnasium import spaces

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.play.controls import controls_of
from worldmodel_env.play.simulator import simulator_of


def test_it_serves_until_interrupted(nano_world: Path) -> None:
    script = "import sys; from worldmodel_env.cli import main; main(sys.argv[1:])"
    options = ["--world", str(nano_world), "--no-browser"]
    command = [sys.executable, "-c", script, "play", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert match, line
        connection = HTTPConnection("127.0.0.1", int(match[1]), timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err) == (0, "", "")
    finally:
        process.kill()


def test_a_port_that_is_taken_is_named(
    nano_world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SystemExit) as end:
            main(["play", "--world", str(nano_world), "--port", port, "--no-browser"])
    assert end.value.code == 2
    message = capsys.readouterr().err
    assert port in message
    assert "another --port" in message


@pytest.mark.parametrize("port", ["-1", "65536", "99999999999999999999"])
def test_a_port_out_of_range_is_refused(
    nano_world: Path, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["play", "--world", str(nano_world), "--port", port, "--no-browser"])
    assert end.value.code == 2
    assert port in capsys.readouterr().err


@pytest.mark.parametrize("package", ["uvicorn", "websockets"])
def test_a_missing_package_names_the_extra(
    nano_world: Path,
    package: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit):
        main(["play", "--world", str(nano_world), "--no-browser"])
    assert 'pip install "worldmodel-env[play]"' in capsys.readouterr().err


def test_a_world_that_names_no_simulator_cannot_be_compared(nano_world: Path) -> None:
    with pytest.raises(InputError, match="does not say which simulator"):
        simulator_of(World.load(nano_world), {})


def test_an_unknown_simulator_is_named(nano_world: Path) -> None:
    world = World.load(nano_world)
    world.provenance["simulators"] = ["SimNowhere-v0"]
    with pytest.raises(InputError, match="SimNowhere-v0, which cannot be made here"):
        simulator_of(world, {})
    world.provenance["simulators"] = ["nowhere:Sim-v0"]
    with pytest.raises(InputError, match="leave out --compare"):
        simulator_of(world, {})


def test_the_shipped_world_is_compared_with_its_simulator() -> None:
    simulator = simulator_of(World.load("maze"), {"SimMaze-v0": 96})
    assert (simulator.name, simulator.kwargs) == ("SimMaze-v0", {"split": "test"})
    assert simulator.cell == 96


def test_actions_without_keys_are_refused() -> None:
    assert [c.action for c in controls_of(spaces.Discrete(3, start=5))] == [5, 6, 7]
    assert [c.keys[0] for c in controls_of(spaces.Discrete(2))] == ["Digit1", "Digit2"]
    for space in (spaces.Discrete(10), spaces.MultiDiscrete([3, 2]), spaces.Box(0, 1, (2,))):
        with pytest.raises(InputError, match="choose another world"):
            controls_of(space)
