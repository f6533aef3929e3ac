"""The world model's training, end to end."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import stages
import torch
import toy_env

from simulators.recorder import record
from worldmodel_env.cli import main
from worldmodel_env.config import from_json
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import Checkpoint, save_checkpoint
from worldmodel_env.training.recipes import Schedule
from worldmodel_env.training.spaces import with_actions
from worldmodel_env.training.teco import train_teco


def test_a_run_leaves_weights_metrics_codes_and_a_strip(whole_run: Path) -> None:
    folder = whole_run / "teco"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, stages.STEPS + 1))
    assert {"reconstruction", "prior", "commitment", "codebook", "reward", "termination"} <= set(
        steps[0]
    )
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert {"ce_posterior", "ce_prior", "ce_null", "ce_shuffled_h", "z_perplexity"} <= set(
        lines[-1]
    )
    assert [p.name for p in (folder / "strips").iterdir()] == [f"{stages.STEPS:06d}.png"]
    codes = sorted(p.name for p in (whole_run / "codes").iterdir())
    assert codes == ["train.safetensors", "validation.safetensors"]


def test_the_checkpoint_holds_the_data_sets_actions_and_the_tokenizers_codes(
    whole_run: Path,
) -> None:
    checkpoint = Checkpoint.open(whole_run / "teco")
    assert from_json(TecoConfig, checkpoint.config).actions == ActionConfig(
        "discrete", choices=(3,)
    )
    preset = load_preset("nano")
    tokenizer = Vqgan(preset.vqgan)
    tokenizer.load_state_dict(Checkpoint.open(whole_run / "vqgan").weights())
    assert torch.equal(checkpoint.weights()["code_vectors"], tokenizer.codebook.vectors())
    assert checkpoint.counters["finished"]


@pytest.mark.parametrize("action", ["box", "multi"])
def test_other_action_spaces_train(action: str, tokenizer_run: Path, tmp_path: Path) -> None:
    data = tmp_path / "set"
    record(
        toy_env.ID, data, episodes=2, validation=1, test=0, policy="random", progress=False,
        env_kwargs={"action": action},
    )  # fmt: skip
    stages.prepare("teco", tokenizer_run, tmp_path)
    stages.train("teco", data, tmp_path, steps=1)
    actions = from_json(TecoConfig, Checkpoint.open(tmp_path / "teco").config).actions
    assert actions == ActionConfig.of(TrajectoryDataset.open(data).action_space)


def test_a_missing_tokenizer_is_refused(toy_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"vqgan/checkpoint.safetensors does not exist"):
        stages.train("teco", toy_set, tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_data_set_of_other_frames_is_refused(toy_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds frames of 32 x 32 pixels, .* takes 64 x 64"):
        stages.train("teco", toy_set, tmp_path, preset="maze")
    assert not any(tmp_path.iterdir())


def test_a_data_set_of_other_actions_is_refused(toy_set: Path) -> None:
    config = replace(load_preset("nano").teco, actions=ActionConfig("discrete", choices=(5,)))
    with pytest.raises(InputError, match=r"action space Discrete\(3\), the preset takes .*5"):
        with_actions(config, TrajectoryDataset.open(toy_set))


def test_a_tokenizer_that_was_trained_on_is_refused(
    toy_set: Path, whole_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    config = load_preset("nano").vqgan
    save_checkpoint(
        tmp_path / "vqgan", {"model": Vqgan(config)}, config=config,
        counters=Checkpoint.open(whole_run / "vqgan").counters,
    )  # fmt: skip
    with pytest.raises(InputError, match=r"was trained with other settings .*tokenizer is"):
        stages.train("teco", toy_set, tmp_path)


def test_the_command_encodes_trains_and_makes_a_world(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    common = ["--preset", "nano", "--out", str(tmp_path), "--precision", "fp32"]
    main(["data", "encode", str(toy_set), *common])
    dataset = TrajectoryDataset.open(toy_set)
    frames = sum(ref.total_steps + 1 for ref in dataset.episodes("train"))
    assert f"train: {frames} frames of 12 episodes" in capsys.readouterr().out
    codes = (tmp_path / "codes" / "train.safetensors").stat().st_mtime_ns

    train = ["train", "teco", "--data", str(toy_set), *common, "--steps", "2"]
    options = ["--learning-rate", "0.002", "--average", "0.9", "--accumulate", "2", "--recompute"]
    main([*train, *options])
    assert (tmp_path / "codes" / "train.safetensors").stat().st_mtime_ns == codes
    first = stages.losses(tmp_path / "teco")[0]
    assert first["learning_rate"] == pytest.approx(0.002 * 0.05)
    world = World.load(tmp_path / "world")
    checkpoint = Checkpoint.open(tmp_path / "teco")
    average = checkpoint.weights()["start"]
    assert torch.equal(world.weights["teco.start"], average.half().float())
    trained = {"trained.start": torch.empty_like(average)}
    checkpoint.read(trained)
    assert not torch.equal(trained["trained.start"], average)
    assert checkpoint.counters["step"] == 2


def test_the_papers_schedule_in_minutes_is_refused_before_anything_is_done(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    preset = load_preset("nano")
    with pytest.raises(InputError, match="give its budget as --steps instead of --minutes"):
        train_teco(
            preset.teco, replace(preset.teco_training, schedule=Schedule("cosine")),
            vqgan=preset.vqgan, data=toy_set, out=tmp_path, budget=Budget(minutes=1),
        )  # fmt: skip
    assert not (tmp_path / "codes").exists()
