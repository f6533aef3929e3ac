"""`worldmodel evaluate --protocol teco`, as typed."""

from pathlib import Path

import pytest
import toy_env

from simulators.recorder import record
from worldmodel_env.cli import main
from worldmodel_env.evaluation.report import Report


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two test episodes of 301 frames."""
    root = tmp_path_factory.mktemp("sets") / "walks"
    record(
        toy_env.ENDLESS_ID, root, episodes=0, test=2, policy="random", max_steps=300,
        env_kwargs={"task": "wander"}, progress=False,
    )  # fmt: skip
    return root


def test_frames_by_the_published_lengths(
    walks: Path, nano_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--protocol", "teco", "--world", str(nano_world), "--data", str(walks)]
    command += ["--out", str(tmp_path), "--no-film", "--episodes", "3", "--batch", "2"]
    main([*command, "--threads", "1", "--device", "cpu"])
    told = capsys.readouterr().out
    assert "PSNR" in told
    assert "only 2 episodes of the 3 asked for are long enough" in told
    report = Report.load(tmp_path)
    section = report.sections["prediction"]
    assert (section.details["context"], section.details["horizon"]) == (144, 156)
    assert section.details["actions"] is True
    assert [line.name for line in section.charts[0].lines] == [
        "nano", "last frame copied", "its tokenizer alone",
    ]  # fmt: skip
    about = report.about["model"]
    assert (about["backend"], about["precision"]) == ("torch", "fp32")
    assert report.about["data"]["episodes"] == 2
    assert {p.name for p in tmp_path.iterdir()} == {
        "report.json", "report.html", "examples.npz", "results",
    }  # fmt: skip


def test_the_benchmark_cannot_be_recorded_in_a_card(
    walks: Path, nano_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--protocol", "teco", "--world", str(nano_world), "--data", str(walks)]
    with pytest.raises(SystemExit):
        main([*command, "--out", str(tmp_path / "out"), "--record"])
    assert "--record is of --protocol clip" in capsys.readouterr().err


def test_data_of_another_simulator_are_refused(
    walks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--protocol", "teco", "--world", "maze", "--data", str(walks)]
    with pytest.raises(SystemExit):
        main([*command, "--out", str(tmp_path / "out"), "--threads", "1", "--device", "cpu"])
    assert "evaluate it on data of its own simulator" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
