"""Both stages: interrupted, killed and resumed runs equal an undisturbed one."""

import json
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stages
import torch
import toy_env

from simulators.recorder import record
from worldmodel_env.errors import InputError
from worldmodel_env.training import teco as teco_stage
from worldmodel_env.training import trainer
from worldmodel_env.training import vqgan as vqgan_stage
from worldmodel_env.training.checkpoint import FILE, Checkpoint

BOTH = pytest.mark.parametrize("stage", ["vqgan", "teco"])
TIMES = ("seconds_per_step", "frames_per_second")


def metrics(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMES} for line in lines]


def contents(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    checkpoint = Checkpoint.open(folder)
    tensors = {name: torch.empty(shape) for name, shape in checkpoint.shapes.items()}
    checkpoint.read(tensors)
    return tensors, {**checkpoint.counters, "seconds": 0, "config": checkpoint.config}


def assert_same(folder: Path, undisturbed: Path) -> None:
    assert metrics(folder) == metrics(undisturbed)
    (tensors, about), (expected, same) = contents(folder), contents(undisturbed)
    assert about == same
    assert tensors.keys() == expected.keys()
    assert [k for k, v in tensors.items() if not torch.equal(v, expected[k])] == []


def signalled(stage: str, data: Path, out: Path, step: int, number: signal.Signals) -> int:
    options = {"signal_at": (step, number), "checkpoint_seconds": 0.0}
    return stages.in_processes(stage, data, out, **options)[0]


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
        patch.setattr(trainer, "RunLog", stages.SignalAt)
        stages.train(stage, toy_set, tmp_path)
    assert "interrupted at step 3: saved" in capsys.readouterr().out
    counters = Checkpoint.open(tmp_path / stage).counters
    assert counters["step"] == len(stages.losses(tmp_path / stage)) == 3
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
    assert signalled(stage, toy_set, tmp_path, 4, signal.SIGKILL) == -signal.SIGKILL
    folder = tmp_path / stage
    assert len(stages.losses(folder)) == 4
    assert Checkpoint.open(folder).counters["step"] == 3
    stages.train(stage, toy_set, tmp_path)
    assert_same(folder, whole_run / stage)


@pytest.mark.slow
@BOTH
def test_killed_again_and_again_at_any_moment_equals_undisturbed(
    stage: str, toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    options = {"steps": 60, "evaluate_every": 4, "checkpoint_seconds": 0.0}
    one, many = tmp_path / "one", tmp_path / "many"
    stages.train(stage, toy_set, stages.prepare(stage, tokenizer_run, one), **options)
    stages.prepare(stage, tokenizer_run, many)
    random = np.random.default_rng(0)
    for step in range(3, 36, 4):
        delay = random.uniform(0, 0.2)
        status = stages.killed_after(step, delay, stage, toy_set, many, **options)
        assert status == -signal.SIGKILL
    stages.train(stage, toy_set, many, **options)
    assert_same(many / stage, one / stage)


def test_killed_before_the_first_checkpoint_starts_again(
    toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    assert signalled("vqgan", toy_set, tmp_path, 1, signal.SIGKILL) == -signal.SIGKILL
    assert not (tmp_path / "vqgan" / FILE).exists()
    stages.train("vqgan", toy_set, tmp_path)
    assert_same(tmp_path / "vqgan", whole_run / "vqgan")


def test_a_process_that_is_interrupted_saves_and_ends_well(toy_set: Path, tmp_path: Path) -> None:
    assert signalled("vqgan", toy_set, tmp_path, 2, signal.SIGINT) == 0
    assert Checkpoint.open(tmp_path / "vqgan").counters["step"] == 2


@BOTH
def test_a_finished_run_is_left_as_it_is(
    stage: str, toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    before = (tmp_path / stage / FILE).read_bytes()
    stages.train(stage, toy_set, tmp_path)
    assert (tmp_path / stage / FILE).read_bytes() == before
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
    before = (tmp_path / stage / FILE).read_bytes()
    module, name = {
        "vqgan": (vqgan_stage, "vqgan_losses"),
        "teco": (teco_stage, "teco_losses"),
    }[stage]
    compute = getattr(module, name)

    def broken(*args: object) -> object:
        terms, *rest = compute(*args)
        return {**terms, "loss": terms["loss"] * float("nan")}, *rest

    monkeypatch.setattr(module, name, broken)
    with pytest.raises(InputError) as error:
        stages.train(stage, toy_set, tmp_path, steps=8, checkpoint_seconds=0.0)
    path = tmp_path / stage / FILE
    assert "loss is nan at step 7 and training stopped" in str(error.value)
    assert f"{path} of step 6 is kept: go on from it with a lower --learning-rate" in str(
        error.value
    )
    assert (tmp_path / stage / FILE).read_bytes() == before
    assert len(stages.losses(tmp_path / stage)) == stages.STEPS


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
    path = tmp_path / stage / FILE
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"{stage}/{FILE} is damaged"):
        stages.train(stage, toy_set, tmp_path)


@BOTH
def test_training_goes_on_after_validation_episodes_were_added_but_not_training_episodes(
    stage: str, tokenizer_run: Path, tmp_path: Path
) -> None:
    data = tmp_path / "set"

    def add(episodes: int, validation: int) -> None:
        record(
            toy_env.ID, data, episodes=episodes, validation=validation, test=0, policy="random",
            progress=False,
        )  # fmt: skip

    stages.prepare(stage, tokenizer_run, tmp_path)
    add(3, 1)
    stages.train(stage, data, tmp_path, steps=1)
    before = Checkpoint.open(tmp_path / stage).counters["train_data"]
    add(3, 2)
    stages.train(stage, data, tmp_path, steps=2)
    add(4, 2)
    with pytest.raises(InputError, match=rf"train_data is '{before}', now '\w{{64}}'"):
        stages.train(stage, data, tmp_path, steps=3)


def test_training_in_another_thread_leaves_signals_alone(toy_set: Path, tmp_path: Path) -> None:
    finished: list[Path] = []

    def run() -> None:
        finished.append(stages.train("vqgan", toy_set, tmp_path, steps=1))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert finished == [tmp_path / "vqgan" / FILE]
