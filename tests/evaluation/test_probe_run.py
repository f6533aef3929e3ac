"""The command, on an untrained world and recordings without maps."""

from pathlib import Path

import pytest

from worldmodel_env.cli import main
from worldmodel_env.evaluation.report import Report, Section

WITHOUT_MAPS = ("revisit", "theme", "novelty", "map_probe", "drift")


@pytest.fixture(scope="module")
def command(nano_world: Path, toy_set: Path) -> list[str]:
    return [
        "probe", "--world", str(nano_world), "--data", str(toy_set), "--context", "4",
        "--horizon", "4", "--event-context", "2", "--drift-horizon", "9", "--backend", "torch",
        "--precision", "fp32",
    ]  # fmt: skip


def test_all_probes_are_reported_those_that_the_data_does_not_allow_with_the_reason(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*command, "--out", str(tmp_path)])
    report = Report.load(tmp_path)
    names = {*WITHOUT_MAPS, "action_following", "flatness", "rare_events"}
    assert set(report.sections) == names
    for name, section in report.sections.items():
        measured = bool(section.tables)
        assert measured == (tmp_path / f"{name}.png").is_file()
        assert measured or section.notes
    assert report.sections["action_following"].numbers
    assert "map" in report.sections["map_probe"].notes[0]
    assert (tmp_path / "report.html").is_file()
    assert report.about["model"]["world_digest"]
    assert "actions recognised" in capsys.readouterr().out


def test_other_sections_of_the_report_stay(command: list[str], tmp_path: Path) -> None:
    Report("nano", {}, {"prediction": Section("Prediction", "Before.")}).save(tmp_path)
    main([*command, "--out", str(tmp_path), "--only", "rare_events"])
    report = Report.load(tmp_path)
    assert set(report.sections) == {"prediction", "rare_events"}
    assert report.sections["rare_events"].details["data_sha256"]


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (["--only", "revisits"], "choose from revisit"),
        (["--only", "map_probe"], "layout"),
        (["--horizon", "9999"], "record longer"),
        (["--context", "0", "--only", "action_following"], "at least 1"),
    ],
)
def test_what_cannot_be_measured_is_said_in_a_sentence(
    command: list[str], extra: list[str], reason: str, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    if extra[0] == "--horizon":
        extra = [*extra, "--only", "flatness"]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--out", str(tmp_path), *extra])
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "report.json").exists()
