"""Bad input through the command line: one sentence on stderr, status 2, nothing changed."""

import shutil
from pathlib import Path

import pytest

from worldmodel_env.cli import main


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(list(words))
    assert exit_.value.code == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("error: ")
    return message


def test_unknown_simulator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    message = refuse(
        capsys, "record", "--simulator", "SimMase-v0", "--out", str(out), "--episodes", "1"
    )
    assert "SimMase-v0" in message
    assert "SimMaze-v0" in message
    assert not out.exists()


def test_unknown_preset(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    message = refuse(
        capsys, "train", "vqgan", "--data", str(toy_set), "--out", str(out),
        "--preset", "mase", "--steps", "1",
    )  # fmt: skip
    assert "'mase'" in message
    assert "maze" in message
    assert not out.exists()


def test_unknown_world(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    message = refuse(
        capsys, "evaluate", "--world", "mars", "--data", str(toy_set), "--out", str(out)
    )
    assert "'mars'" in message
    assert not out.exists()


def test_empty_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    message = refuse(
        capsys, "train", "vqgan", "--data", str(tmp_path / "none"), "--out", str(out),
        "--preset", "nano", "--steps", "1",
    )  # fmt: skip
    assert "none" in message
    assert not out.exists()


def test_data_of_another_simulator(
    toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    message = refuse(
        capsys, "train", "vqgan", "--data", str(toy_set), "--out", str(out),
        "--preset", "maze", "--steps", "1",
    )  # fmt: skip
    assert "32 x 32" in message
    assert "64 x 64" in message
    assert not out.exists()


@pytest.mark.parametrize("budget", [[], ["--steps", "1", "--minutes", "1"], ["--steps", "0"]])
def test_a_budget_is_needed(
    toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], budget: list[str]
) -> None:
    message = refuse(
        capsys, "train", "vqgan", "--data", str(toy_set), "--out", str(tmp_path / "run"),
        "--preset", "nano", *budget,
    )  # fmt: skip
    assert "--steps" in message


def test_training_the_world_needs_the_tokenizer(
    toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refuse(
        capsys, "train", "teco", "--data", str(toy_set), "--out", str(tmp_path / "run"),
        "--preset", "nano", "--steps", "1",
    )  # fmt: skip
    assert "vqgan" in message


def test_a_shard_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--out", str(tmp_path / "d"), "--episodes", "1", "--shard", "first"]
    assert "'first'" in refuse(capsys, "record", *options)


def test_a_damaged_file_is_named_and_skipped_only_on_request(
    toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "toy-v0"
    shutil.copytree(toy_set, data)
    damaged = data / "data" / "episodes" / "train-000000003.hdf5"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    options = ["--data", str(data), "--out", str(tmp_path / "run"), "--preset", "nano"]
    options += ["--steps", "1", "--threads", "1"]
    assert damaged.name in refuse(capsys, "train", "vqgan", *options)
    assert not (tmp_path / "run").exists()
    main(["train", "vqgan", *options, "--skip-corrupt"])
    assert (tmp_path / "run" / "vqgan" / "checkpoint.safetensors").exists()
