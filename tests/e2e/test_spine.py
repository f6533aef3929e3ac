"""The whole spine at tiny scale, by command line: record, train, evaluate, make, imagine."""

import json
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import toy_env

from worldmodel_env.cli import main
from worldmodel_env.data.dataset import TrajectoryDataset


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recorded data set `data` and a finished run `run`."""
    root = tmp_path_factory.mktemp("spine")
    data, run = str(root / "data"), str(root / "run")
    options = ["--episodes", "8", "--validation", "3", "--test", "3", "--policy", "random"]
    main(["record", "--simulator", toy_env.ID, "--out", data, *options])
    for stage in ("vqgan", "teco"):
        common = ["--data", data, "--out", run, "--preset", "nano", "--threads", "1"]
        main(["train", stage, *common, "--steps", "12"])
    return root


def test_training_leaves_metrics_strips_and_a_world(spine: Path) -> None:
    for stage, key in (("vqgan", "held_out_psnr"), ("teco", "ce_null")):
        lines = (spine / "run" / stage / "metrics.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert [r["step"] for r in records if "loss" in r] == list(range(1, 13))
        assert key in records[-1]
        assert list((spine / "run" / stage / "strips").glob("*.png"))
    assert {p.name for p in (spine / "run" / "world").iterdir()} == {
        "world.json", "weights.safetensors", "starts.hdf5", "README.md",
    }  # fmt: skip


def test_the_trained_world_is_an_environment(spine: Path) -> None:
    env = gymnasium.make("worldmodel_env:TecoMaze-v0", world=str(spine / "run" / "world"))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    for _ in range(5):
        observation, reward, _, _, _ = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation)
        assert np.isfinite(reward)


def test_evaluate_writes_a_report_and_records_it_in_the_card(
    spine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, report = spine / "run" / "world", spine / "report"
    options = ["--context", "3", "--horizon", "5", "--record"]
    places = ["--world", str(world), "--data", str(spine / "data"), "--out", str(report)]
    main(["evaluate", *places, *options])
    assert "PSNR at 1" in capsys.readouterr().out
    content = json.loads((report / "report.json").read_text())
    tests = TrajectoryDataset.open(spine / "data").episodes("test")
    count = sum(ref.total_steps + 1 >= 3 + 5 for ref in tests)
    assert content["episodes"] == count > 0
    assert len(content["curves"]["world"]["psnr"]["mean"]) == 5
    assert {p.name for p in report.iterdir()} == {"report.json", "horizons.png", "strips.png"}
    assert f"{count} test episodes" in (world / "README.md").read_text()


def test_imagine_writes_a_video_and_a_sheet(spine: Path) -> None:
    out = spine / "walk"
    main(["imagine", "--world", str(spine / "run" / "world"), "--out", str(out), "--frames", "9"])
    assert (out / "imagined.mp4").stat().st_size > 1000
    assert (out / "imagined.png").stat().st_size > 1000


def test_data_commands(spine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "info", str(spine / "data")])
    assert "Discrete(3)" in capsys.readouterr().out
    main(["data", "validate", str(spine / "data")])
    assert "14 episodes" in capsys.readouterr().out
