"""The metrics file of a run."""

import json
from pathlib import Path

import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.training.log import RunLog


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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_finite_is_refused_and_not_written(tmp_path: Path, value: float) -> None:
    fill(tmp_path, 2)
    with (
        open_log(tmp_path, step=2) as log,
        pytest.raises(InputError, match=f"grad_norm is {value} at step 3; .* lower learning rate"),
    ):
        log.write(3, loss=1.0, grad_norm=value)
    assert steps(tmp_path) == [1, 2]


def test_messages_go_to_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_log(tmp_path) as log:
        log.say("hello")
    assert "hello\n" in capsys.readouterr().out
