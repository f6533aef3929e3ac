"""The metrics file of a run."""

import json
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.figure import new_figure, save_png
from worldmodel_env.training.events import require_tensorboard
from worldmodel_env.training.log import NoLog, RunLog


def open_log(folder: Path, step: int = 0) -> RunLog:
    return RunLog(folder, "test", step=step, progress=step / 10)


def steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").open()]


def fill(folder: Path, count: int) -> None:
    with open_log(folder) as log:
        for step in range(1, count + 1):
            log.write(step, loss=1.0 / step)


def test_lines_are_json_with_the_step(tmp_path: Path) -> None:
    with open_log(tmp_path / "new") as log:
        log.progress(0.5, step=3, loss=0.25)
        log.write(3, loss=1 / 3, other=2)
    text = (tmp_path / "new" / "metrics.jsonl").read_text()
    assert text == '{"step": 3, "loss": 0.333333, "other": 2.0}\n'


def test_resuming_drops_what_the_checkpoint_does_not_know(tmp_path: Path) -> None:
    fill(tmp_path, 7)
    with open_log(tmp_path, step=4) as log:
        log.write(5, loss=1.0)
    assert steps(tmp_path) == [1, 2, 3, 4, 5]


def test_a_fresh_start_drops_everything(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    with open_log(tmp_path):
        pass
    assert steps(tmp_path) == []


@pytest.mark.parametrize("rest", ['{"step": 3, "lo', "{", "\x00\x00"])
def test_a_line_cut_short_by_a_crash_is_dropped(tmp_path: Path, rest: str) -> None:
    fill(tmp_path, 2)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(rest)
    with open_log(tmp_path, step=2) as log:
        log.write(3, loss=1.0)
    assert steps(tmp_path) == [1, 2, 3]


def test_messages_go_to_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(tmp_path) as log:
        log.say("hello")
    assert "hello\n" in capsys.readouterr().out


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def test_tensorboard_gets_the_same_numbers_and_the_pictures(tmp_path: Path) -> None:
    png = tmp_path / "strip.png"
    save_png(new_figure(2, 1), png)
    with open_log(tmp_path / "run") as log:
        log.write(1, loss=0.5, other=2.0)
        log.write(2, loss=0.25)
        log.show(2, {"imagined": png})
    found = events(tmp_path / "run")
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [(1, 0.5), (2, 0.25)]
    assert [(e.step, e.value) for e in found.Scalars("other")] == [(1, 2.0)]
    (image,) = found.Images("imagined")
    assert image.encoded_image_string == png.read_bytes()
    assert (image.step, image.width, image.height) == (2, 300, 150)


def test_tensorboard_hides_what_a_crash_undid(tmp_path: Path) -> None:
    fill(tmp_path, 7)
    with open_log(tmp_path, step=4) as log:
        log.write(5, loss=9.0)
    found = [(e.step, round(e.value, 3)) for e in events(tmp_path).Scalars("loss")]
    assert found == [(1, 1.0), (2, 0.5), (3, 0.333), (4, 0.25), (5, 9.0)]


def test_opening_a_finished_log_leaves_no_event_file(tmp_path: Path) -> None:
    with open_log(tmp_path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_process_that_does_not_lead_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with NoLog(tmp_path / "run", "test", step=0, progress=0.0) as log:
        log.progress(0.5, loss=1.0)
        log.write(1, loss=1.0)
        log.show(1, {"x": tmp_path / "absent.png"})
        log.say("hello")
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr() == ("", "")


def test_a_missing_tensorboard_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match=r"tensorboard.*worldmodel-env\[train\]"):
        require_tensorboard()
