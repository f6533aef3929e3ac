"""`worldmodel doctor` tells what runs here from what does not."""

import pytest

from worldmodel_env import doctor
from worldmodel_env.cli import main


def test_a_simulator_that_runs_and_one_that_does_not() -> None:
    assert doctor.trouble_with("SimMaze-v0") == ""
    assert "SimNowhere" in doctor.trouble_with("SimNowhere-v0")


def test_the_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "trouble_with", lambda name: "lost" if "Doom" in name else "")
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("worldmodel-env ")
    assert "[x] simulator SimMaze-v0" in lines
    assert "[ ] simulator SimDoom-v0: lost" in lines
    assert "[x] backend torch" in lines
    assert any("world maze: " in line for line in lines)
