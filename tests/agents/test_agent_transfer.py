"""The transfer experiment at toy scale: three arms, one report, nothing done twice."""

import json
from dataclasses import replace

import pytest
import toy_room  # noqa: F401  registers the environments
from nano import make_nano

from agents.baselines import Uniform
from agents.collect import collect
from agents.ppo import Args
from agents.transfer import Transfer, transfer
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.training import encode


@pytest.fixture
def experiment(tmp_path) -> Transfer:
    data = tmp_path / "set"
    (data / "data" / "episodes").mkdir(parents=True)
    for first in (0, 1_000_000):
        collect(Uniform(), "random", "ToyRoomLimited-v0", data, episodes=6, first=first,
                kwargs={"endless": True})  # fmt: skip
    ppo = Args(
        tmp_path, num_envs=4, rollout=8, minibatches=2, steps=64, hidden=16, width=4,
        evaluate_every=1, evaluate_episodes=2, device="cpu",
    )  # fmt: skip
    return Transfer(
        tmp_path / "out", world=str(make_nano().save(tmp_path / "world")),
        simulator="ToyRoomLimited-v0", imagined_kwargs=("max_episode_steps=6",),
        seeds=2, episodes=4, rounds=2, data=data, fresh=3, world_steps=1, preset="nano", ppo=ppo,
    )  # fmt: skip


def test_three_arms(experiment):
    text = transfer(experiment)
    for name in ("random", "walker", "simulator", "imagination", "refreshed"):
        assert name in text
    report = json.loads((experiment.out / "report.json").read_text())
    assert len(report["episodes"]["refreshed"]) == 2
    curves = report["curves"]
    assert curves["simulator"][0][-1]["simulator_frames"] == 64
    frames = [point["simulator_frames"] for point in curves["refreshed"][1]]
    train = TrajectoryDataset.open(experiment.data).episodes("train")
    assert frames[0] == sum(ref.total_steps + 1 for ref in train) < frames[-1]
    steps = [point["step"] for point in curves["refreshed"][0]]
    assert steps == [32, 64]
    assert set(report["guards"]) == {"imagination", "refreshed"}
    assert "termination: Brier score" in report["guards"]["imagination"]["calibration"]
    collected = TrajectoryDataset.open(experiment.out / "refreshed" / "seed-0" / "data")
    assert len(collected.episodes("train")) == 9
    assert len(TrajectoryDataset.open(experiment.data).episodes("train")) == 6

    stamps = {p: p.stat().st_mtime_ns for p in experiment.out.rglob("*.safetensors")}
    assert transfer(experiment) == text
    assert stamps == {p: p.stat().st_mtime_ns for p in experiment.out.rglob("*.safetensors")}


def test_a_refresh_encodes_only_what_was_collected_since(experiment, monkeypatch):
    encoded = []

    def watch(missing, name, *args, **options):
        encoded.append((name, len(missing)))
        return missing

    monkeypatch.setattr(encode, "tqdm", watch)
    transfer(replace(experiment, arms=("refreshed",), seeds=1, rounds=3))
    first, second = [("encode train", 9), ("encode validation", 6)], [("encode train", 3)]
    assert encoded == first + second


def test_refreshing_needs_data(experiment):
    with pytest.raises(InputError, match="give --data"):
        transfer(replace(experiment, data=None))
