"""The tokenizer's training, end to end."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stages
import torch

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import load_checkpoint
from worldmodel_env.training.recipes import VqganTraining
from worldmodel_env.training.vqgan import train_vqgan, vqgan_losses


def test_a_run_leaves_weights_metrics_and_a_strip(toy_set: Path, tokenizer_run: Path) -> None:
    folder = tokenizer_run / "vqgan"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, stages.STEPS + 1))
    assert {"l1", "l2", "commitment", "codebook", "perplexity", "grad_norm"} <= steps[0].keys()
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert lines[-1]["step"] == stages.STEPS
    assert lines[-1]["held_out_psnr"] > 5
    assert [p.name for p in (folder / "strips").iterdir()] == [f"{stages.STEPS:06d}.png"]

    config = load_preset("nano").vqgan
    model = Vqgan(config)
    counters = load_checkpoint(folder, model, None, config=config)
    assert counters["step"] == stages.STEPS
    assert counters["finished"]
    dataset = TrajectoryDataset.open(toy_set)
    assert counters["data_hash"] == dataset.data_hash()
    frames = dataset.read(dataset.episodes("test")[0]).observations[:4]
    with torch.no_grad():
        again = model.decode(model.encode(torch.from_numpy(frames)))
    error = np.abs(again.numpy().astype(int) - frames).mean()
    assert error < np.abs(frames.astype(int) - 128).mean()


def test_the_loss_is_the_weighted_sum_of_its_terms() -> None:
    model, x = Vqgan(load_preset("nano").vqgan), torch.rand(2, 3, 32, 32) * 2 - 1
    losses, codes = vqgan_losses(model, x, None, VqganTraining(commitment_weight=0.7))
    expected = losses["l1"] + losses["l2"] + losses["codebook"] + 0.7 * losses["commitment"]
    torch.testing.assert_close(losses["loss"], expected)
    assert codes.shape == (2, 8, 8)


def test_a_data_set_of_other_frames_is_refused(toy_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds frames of 32 x 32 pixels, .* takes 64 x 64"):
        stages.train("vqgan", toy_set, tmp_path, preset="maze")
    assert not any(tmp_path.iterdir())


def test_no_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("absent", "empty"):
        with pytest.raises(InputError, match=folder):
            stages.train("vqgan", tmp_path / folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_data_set_without_validation_episodes_is_refused(toy_set: Path, tmp_path: Path) -> None:
    source, target = toy_set / "data" / "episodes", tmp_path / "set" / "data" / "episodes"
    target.mkdir(parents=True)
    for path in source.glob("train-*"):
        (target / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="has no validation episodes"):
        stages.train("vqgan", tmp_path / "set", tmp_path / "run")


def test_a_corrupted_episode_is_named(toy_set: Path, tmp_path: Path) -> None:
    target = tmp_path / "set" / "data" / "episodes"
    target.mkdir(parents=True)
    for path in (toy_set / "data" / "episodes").iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    victim = sorted(target.glob("train-*"))[3]
    victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(InputError, match=victim.name):
        stages.train("vqgan", tmp_path / "set", tmp_path / "run")


def test_another_configuration_is_refused_field_by_field(
    tokenizer_run: Path, toy_set: Path
) -> None:
    config = load_preset("nano").vqgan
    other = replace(config, n_codes=128, multipliers=(1, 1))
    with pytest.raises(InputError) as error:
        load_checkpoint(tokenizer_run / "vqgan", Vqgan(config), None, config=other)
    assert "multipliers is [1, 2], now [1, 1]" in str(error.value)
    assert "n_codes is 64, now 128" in str(error.value)


def test_missing_matplotlib_is_noticed_before_the_first_step(
    toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    preset = load_preset("nano")
    with pytest.raises(InputError, match=r"worldmodel-env\[train\]"):
        train_vqgan(
            preset.vqgan,
            preset.vqgan_training,
            data=toy_set,
            out=tmp_path / "run",
            budget=Budget(steps=1),
        )
    assert not (tmp_path / "run").exists()
