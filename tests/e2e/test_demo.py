"""`worldmodel demo` from end to end, with seconds of training instead of minutes."""

from pathlib import Path

import pytest

from worldmodel_env.demo import run_demo


@pytest.mark.slow
def test_demo_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_demo(tmp_path, minutes=0.3, workers=1)
    said = capsys.readouterr().out.split("written:")[1]
    for name in ("imagined.mp4", "imagined.png", "recordings", "world", "report", "small"):
        assert (tmp_path / name).exists()
        assert str(tmp_path / name) in said
