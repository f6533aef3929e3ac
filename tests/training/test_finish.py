"""A run becomes a world."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training.checkpoint import Checkpoint, save_checkpoint
from worldmodel_env.training.finish import save_world


def test_the_world_holds_both_stages_and_held_out_starts(
    whole_run: Path, toy_set: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    world = World.load(save_world(tmp_path, toy_set, name="toy", preset="nano"))
    dataset = TrajectoryDataset.open(toy_set)
    assert world.action_space == dataset.action_space
    assert world.observation_space == dataset.observation_space
    half = Checkpoint.open(whole_run / "teco").weights()["start"].half().float()
    assert torch.equal(world.weights["teco.start"], half)
    refs = dataset.episodes("validation")
    assert world.starts.shape == (len(refs), 8, 8)
    assert world.starts.dtype == np.uint16
    assert world.provenance["data_sha256"] == dataset.data_hash("train")
    world.imagination()


def test_stages_that_do_not_belong_together_are_refused(
    whole_run: Path, toy_set: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole_run, tmp_path, dirs_exist_ok=True)
    config, counters = load_preset("nano").vqgan, Checkpoint.open(tmp_path / "vqgan").counters
    save_checkpoint(tmp_path / "vqgan", {"model": Vqgan(config)}, config=config, counters=counters)
    with pytest.raises(InputError, match="was trained on since"):
        save_world(tmp_path, toy_set, name="toy", preset="nano")
    assert not (tmp_path / "world").exists()


def test_a_missing_stage_is_refused(tokenizer_run: Path, toy_set: Path, tmp_path: Path) -> None:
    shutil.copytree(tokenizer_run, tmp_path, dirs_exist_ok=True)
    with pytest.raises(InputError, match=r"teco/checkpoint\.safetensors does not exist"):
        save_world(tmp_path, toy_set, name="toy", preset="nano")
