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
from worldmodel_env.config import from_json
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from worldmodel_env.training.spaces import with_actions


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
    tensors, config, counters = read_checkpoint(whole_run / "teco")
    assert from_json(TecoConfig, config).actions == ActionConfig("discrete", choices=(3,))
    preset = load_preset("nano")
    tokenizer = Vqgan(preset.vqgan)
    load_checkpoint(whole_run / "vqgan", tokenizer, None, config=preset.vqgan)
    assert torch.equal(tensors["model.code_vectors"], tokenizer.codebook.vectors())
    assert counters["finished"]


@pytest.mark.parametrize("action", ["box", "multi"])
def test_other_action_spaces_train(action: str, tokenizer_run: Path, tmp_path: Path) -> None:
    data = tmp_path / "set"
    record(
        toy_env.ID, data, episodes=2, validation=1, test=0, policy="random", progress=False,
        env_kwargs={"action": action},
    )  # fmt: skip
    stages.prepare("teco", tokenizer_run, tmp_path)
    stages.train("teco", data, tmp_path, steps=1)
    actions = from_json(TecoConfig, read_checkpoint(tmp_path / "teco")[1]).actions
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
        tmp_path / "vqgan", Vqgan(config), None, config=config,
        counters=read_checkpoint(whole_run / "vqgan")[2],
    )  # fmt: skip
    with pytest.raises(InputError, match=r"was trained with other settings .*tokenizer is"):
        stages.train("teco", toy_set, tmp_path)
