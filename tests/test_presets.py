"""Named configurations: whole, consistent, and of the promised size."""

import json
from dataclasses import replace

import pytest
import torch
from gymnasium import spaces
from nano import MOTION

from worldmodel_env.config import from_json, to_json
from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import PRESETS, Preset, load_preset

ALL = pytest.mark.parametrize("name", sorted(PRESETS))


@ALL
def test_presets_survive_json(name: str) -> None:
    preset = load_preset(name)
    assert from_json(Preset, json.loads(json.dumps(to_json(preset)))) == preset


@ALL
def test_the_two_stages_fit_together(name: str) -> None:
    preset = load_preset(name)
    assert preset.teco.code_grid == preset.vqgan.grid
    assert preset.teco.vq_codes == preset.vqgan.n_codes
    assert preset.teco.vq_dim == preset.vqgan.code_dim
    assert preset.teco.grid % preset.teco.temporal_stride == 0
    assert preset.vqgan.resolution == preset.vqgan.grid * preset.vqgan.patch * 2 ** (
        len(preset.vqgan.multipliers) - 1
    )


@ALL
def test_windows_that_slide_are_shorter_than_the_training_clip(name: str) -> None:
    preset = load_preset(name)
    if preset.teco.temporal.positions == "window":
        assert preset.teco.temporal.window < preset.teco_training.clip


@ALL
def test_both_models_build(name: str) -> None:
    preset = load_preset(name)
    actions = preset.teco.actions or ActionConfig.of(spaces.Discrete(3))
    with torch.device("meta"):
        Vqgan(preset.vqgan)
        Teco(replace(preset.teco, actions=actions, motion=MOTION))


@pytest.mark.parametrize(
    ("name", "millions"),
    [("dmlab", 173.1), ("minecraft", 271.3), ("habitat", 386.1), ("kinetics600", 1093.7)],
)
def test_the_published_configurations_have_the_published_sizes(name: str, millions: float) -> None:
    """With the reference's table of 6 actions, and without what only this project has."""
    teco = replace(load_preset(name).teco, actions=ActionConfig("discrete", choices=(6,)))
    with torch.device("meta"):
        model = Teco(teco)
    own = ("outcome_head", "null_z")
    count = sum(p.numel() for k, p in model.named_parameters() if not k.startswith(own))
    assert round(count / 1e6, 1) == millions
    assert teco.code_grid == 16
    assert teco.temporal.window == (100 if name == "kinetics600" else 300)


def test_the_maze_world_fits_in_20_megabytes_of_half_precision() -> None:
    preset = load_preset("maze")
    with torch.device("meta"):
        models = Vqgan(preset.vqgan), Teco(replace(preset.teco, motion=MOTION))
    assert 2 * sum(p.numel() for model in models for p in model.parameters()) < 19e6
    assert preset.teco.z_dropout > 0
    assert preset.teco.local_skip
    assert preset.teco.recall > 0


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="preset 'huge' is unknown; use one of maze, nano, dmlab"):
        load_preset("huge")
