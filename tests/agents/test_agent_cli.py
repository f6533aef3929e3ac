"""`worldmodel agent ...` from words to reports."""

import json

import pytest
import toy_room  # noqa: F401  registers the environments
from nano import make_nano

from worldmodel_env.cli import main

TRAIN = [
    "--env", "ToyRoom-v0", "--num-envs", "4", "--minibatches", "2", "--rollout", "8",
    "--steps", "64", "--hidden", "16", "--width", "4",
]  # fmt: skip


def test_train_then_evaluate_then_refuse(tmp_path, capsys):
    main(["agent", "train", "--out", str(tmp_path / "run"), *TRAIN])
    main([
        "agent", "evaluate", "--env", "ToyRoom-v0", "--agent", str(tmp_path / "run"),
        "--episodes", "3", "--out", str(tmp_path / "report"), "--films", "1",
    ])  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-4:-1]] == ["policy", "agent", "random"]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["env_kwargs"] == {"split": "test"}
    assert report["episodes"]["agent"][0]["seeds"] == [2_000_000, 2_000_001, 2_000_002]
    assert (tmp_path / "report" / "episode-0.mp4").exists()

    with pytest.raises(SystemExit) as end:
        main(["agent", "train", "--out", str(tmp_path / "run"), *TRAIN, "--gamma", "0.5"])
    assert end.value.code == 2
    assert "gamma is 0.99, now 0.5" in capsys.readouterr().err


def test_plan(tmp_path, capsys):
    world = make_nano().save(tmp_path / "world")
    main([
        "agent", "plan", "--env", "ToyRoom-v0", "--world", str(world), "--episodes", "1",
        "--horizon", "2", "--branches", "3", "--out", str(tmp_path / "plans"),
    ])  # fmt: skip
    assert "planner" in capsys.readouterr().out
    assert (tmp_path / "plans" / "episode-0.mp4").exists()


@pytest.mark.parametrize("command", ["train", "evaluate", "transfer", "plan"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main(["agent", command, "--help"])
    assert end.value.code == 0
    assert "--out" in capsys.readouterr().out


def test_lists_its_commands(capsys):
    with pytest.raises(SystemExit):
        main(["agent", "--help"])
    assert "train        Train an agent by PPO" in capsys.readouterr().out
