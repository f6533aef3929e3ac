"""What is measured on held-out episodes while a world model trains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_env
from nano import nano_teco

from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.metrics import WeightsMissing, psnr
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training import held_out as module
from worldmodel_env.training.encode import encode_split
from worldmodel_env.training.held_out import HeldOut

PRESET = load_preset("nano")


@pytest.fixture(scope="module")
def tokenizer() -> Vqgan:
    torch.manual_seed(0)
    return Vqgan(PRESET.vqgan).requires_grad_(False)


@pytest.fixture(scope="module")
def model(tokenizer: Vqgan) -> Teco:
    torch.manual_seed(0)
    built = Teco(nano_teco())
    built.code_vectors.copy_(tokenizer.codebook.vectors())
    return built


def prepare(data: Path, tokenizer: Vqgan, folder: Path, clip: int = 9) -> HeldOut:
    dataset = TrajectoryDataset.open(data)
    store = encode_split(tokenizer, dataset, "validation", folder / "codes", torch.float32)
    training = replace(PRESET.teco_training, clip=clip)
    return HeldOut(store, dataset, tokenizer, training, torch.float32)


@pytest.fixture(scope="module")
def uneven_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Validation episodes of 3, 12 and 12 steps."""
    root = tmp_path_factory.mktemp("uneven")
    for seed, steps in ((0, 3), (1, 12), (2, 12)):
        record(
            toy_env.ENDLESS_ID, root, episodes=0, validation=1, test=0, policy="random",
            env_kwargs={"task": "wander"}, seed=seed, max_steps=steps, progress=False,
        )  # fmt: skip
    return root


def test_losses_diagnostics_and_rollouts_are_measured(
    toy_set: Path, tokenizer: Vqgan, model: Teco, tmp_path: Path
) -> None:
    held_out = prepare(toy_set, tokenizer, tmp_path)
    found = held_out.evaluate(model, 7, tmp_path / "run")
    assert {"validation_loss", "validation_reconstruction", "validation_prior"} <= set(
        found.metrics
    )
    assert {"ce_posterior", "ce_null", "z_perplexity", "psnr_at_1"} <= set(found.metrics)
    assert "psnr_at_5" not in found.metrics  # 9 frames: 5 are context
    assert held_out.context == 5
    assert found.pictures == {"imagined": tmp_path / "run" / "strips" / "000007.png"}
    assert found.pictures["imagined"].stat().st_size > 1000
    again = held_out.evaluate(model, 7, tmp_path / "run")
    assert again.metrics == found.metrics  # a function of the weights alone


def test_rollouts_are_compared_with_recorded_frames(
    toy_set: Path, tokenizer: Vqgan, model: Teco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = prepare(toy_set, tokenizer, tmp_path, clip=12)
    dataset = TrajectoryDataset.open(toy_set)
    refs = dataset.episodes("validation")
    true = np.stack([dataset.read(ref).observations[7:12] for ref in refs])
    assert np.array_equal(held_out.true, true)
    wrong = 255 - true
    monkeypatch.setattr(module, "replay", lambda *args, **kwargs: torch.from_numpy(wrong))
    metrics = held_out.evaluate(model, 1, tmp_path).metrics
    assert metrics["psnr_at_5"] == pytest.approx(float(psnr(true[:, 4], wrong[:, 4]).mean()))


def test_short_episodes_are_not_shown_with_padding(
    uneven_set: Path, tokenizer: Vqgan, model: Teco, tmp_path: Path
) -> None:
    held_out = prepare(uneven_set, tokenizer, tmp_path)
    assert held_out.rollouts.valid.all()
    assert len(held_out.true) == 2
    held_out.evaluate(model, 1, tmp_path)


def test_if_all_are_short_so_are_the_rollouts(
    uneven_set: Path, tokenizer: Vqgan, model: Teco, tmp_path: Path
) -> None:
    held_out = prepare(uneven_set, tokenizer, tmp_path, clip=300)
    assert held_out.rollouts.codes.shape[:2] == (2, 13)
    assert held_out.rollouts.valid.all()
    assert held_out.context == 7
    held_out.evaluate(model, 1, tmp_path)


def test_without_its_weights_lpips_is_said_to_be_missing_once(
    toy_set: Path, tokenizer: Vqgan, model: Teco, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(net: str) -> None:
        raise WeightsMissing("run make metrics-weights")

    monkeypatch.setattr(module, "Lpips", absent)
    held_out = prepare(toy_set, tokenizer, tmp_path)
    first, second = (held_out.evaluate(model, step, tmp_path) for step in (1, 2))
    assert "LPIPS is not measured: run make metrics-weights" in first.text
    assert "LPIPS" not in second.text
    assert not any(name.startswith("lpips") for name in first.metrics)
