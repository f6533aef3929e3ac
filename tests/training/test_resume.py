"""Both stages: interrupted, killed and resumed runs equal an undisturbed one."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import stages
import torch

from worldmodel_env.errors import InputError
from worldmodel_env.training import teco as teco_stage
from worldmodel_env.training import vqgan as vqgan_stage
from worldmodel_env.training.checkpoint import CHECKPOINT, read_checkpoint

BOTH = pytest.mark.parametrize("stage", ["vqgan", "teco"])


def losses(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def assert_same(folder: Path, undisturbed: Path) -> None:
    assert (folder / "metrics.jsonl").read_text() == (undisturbed / "metrics.jsonl").read_text()
    tensors, config, counters = read_checkpoint(folder)
    expected, same_config, same_counters = read_checkpoint(undisturbed)
    assert config == same_config
    assert counters | {"seconds": 0} == same_counters | {"seconds": 0}
    assert tensors.keys() == expected.keys()
    assert [k for k, v in tensors.items() if not torch.equal(v, expected[k])] == []


def in_a_process(stage: str, data: Path, out: Path, step: int, number: str) -> int:
    arguments = [stage, str(data), str(out), str(step), number]
    done = subprocess.run(
        [sys.executable, str(Path(stages.__file__)), *arguments], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@BOTH
def test_interrupted_and_resumed_equals_undisturbed(
    stage: str,
    toy_set: Path,
    tokenizer_run: Path,
    whole_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stages.prepare(stage, tokenizer_run, tmp_path)
    monkeypatch.setattr(stages.SignalAt, "step", 3)
    with monkeypatch.context() as patch:
        patch.setattr(vqgan_stage, "RunLog", stages.SignalAt)
        patch.setattr(teco_stage, "RunLog", stages.SignalAt)
        stages.train(stage, toy_set, tmp_path)
    assert "interrupted at step 3: saved" in capsys.readouterr().out
    counters = read_checkpoint(tmp_path / stage)[2]
    assert counters["step"] == len(losses(tmp_path / stage)) == 3
    assert not counters["finished"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    stages.train(stage, toy_set, tmp_path)
    assert_same(tmp_path / stage, whole_run / stage)


@BOTH
def test_killed_and_resumed_equals_undisturbed(
    stage: str, toy_set: Path, tokenizer_run: Path, whole_run: Path, tmp_path: Path
) -> None:
    """Killed after the loss of step 4 was logged, before the step was taken or saved."""
    stages.prepare(stage, tokenizer_run, tmp_path)
    assert in_a_process(stage, toy_set, tmp_path, 4, "SIGKILL") == -signal.SIGKILL
    folder = tmp_path / stage
    assert len(losses(folder)) == 4
    assert read_checkpoint(folder)[2]["step"] == 3
    stages.train(stage, toy_set, tmp_path)
    assert_same(folder, whole_run / stage)


def test_killed_before_the_first_checkpoint_starts_again(
    toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    assert in_a_process("vqgan", toy_set, tmp_path, 1, "SIGKILL") == -signal.SIGKILL
    assert not (tmp_path / "vqgan" / CHECKPOINT).exists()
    stages.train("vqgan", toy_set, tmp_path)
    assert_same(tmp_path / "vqgan", whole_run / "vqgan")


def test_a_process_that_is_interrupted_saves_and_ends_well(toy_set: Path, tmp_path: Path) -> None:
    assert in_a_process("vqgan", toy_set, tmp_path, 2, "SIGINT") == 0
    assert read_checkpoint(tmp_path / "vqgan")[2]["step"] == 2


@BOTH
def test_a_finished_run_is_left_as_it_is(
    stage: str, toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / stage / CHECKPOINT).read_bytes()
    stages.train(stage, toy_set, tmp_path)
    assert (tmp_path / stage / CHECKPOINT).read_bytes() == before
    assert_same(tmp_path / stage, whole_run / stage)


@BOTH
def test_a_loss_that_is_not_finite_stops_and_leaves_the_last_checkpoint(
    stage: str,
    toy_set: Path,
    whole_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / stage / CHECKPOINT).read_bytes()
    module, name = {
        "vqgan": (vqgan_stage, "vqgan_losses"),
        "teco": (teco_stage, "teco_losses"),
    }[stage]
    compute = getattr(module, name)

    def broken(*args: object) -> object:
        terms, rest = compute(*args)
        return {**terms, "loss": terms["loss"] * float("nan")}, rest

    monkeypatch.setattr(module, name, broken)
    with pytest.raises(InputError, match="loss is nan at step 7; training stopped and the last"):
        stages.train(stage, toy_set, tmp_path, steps=8, checkpoint_seconds=0.0)
    assert (tmp_path / stage / CHECKPOINT).read_bytes() == before
    assert len(losses(tmp_path / stage)) == stages.STEPS


@BOTH
def test_another_seed_is_refused(
    stage: str, toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    with pytest.raises(InputError, match="seed is 0, now 1"):
        stages.train(stage, toy_set, tmp_path, seed=1)


@BOTH
def test_a_truncated_checkpoint_is_refused(
    stage: str, toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    path = tmp_path / stage / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"{stage}/{CHECKPOINT} is damaged"):
        stages.train(stage, toy_set, tmp_path)
