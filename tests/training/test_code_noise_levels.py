"""The local path is told how many of the codes it reads were replaced."""

from dataclasses import replace

import pytest
import torch
from nano import make_nano
from test_teco_loss import CONFIG, assert_equal, build, loss, make_clips

from worldmodel_env.config import from_json, to_json
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import Teco, TecoConfig

TOLD = replace(CONFIG, code_noise_levels=10)


def with_same_weights(config: TecoConfig) -> Teco:
    model = build(config)
    model.load_state_dict(build(CONFIG).state_dict(), strict=False)
    return model


def test_it_begins_as_the_model_that_is_not_told() -> None:
    assert_equal(loss(with_same_weights(TOLD), make_clips()), loss(build(CONFIG), make_clips()))
    assert build(CONFIG).noise_level is None


def test_it_is_told_the_tenth_in_which_the_share_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    model, heard = build(TOLD), []
    predict = model.predict

    def listen(h, previous, action, recalled, level):
        heard.append((level, previous))
        return predict(h, previous, action, recalled, level)

    monkeypatch.setattr(model, "predict", listen)
    model.cfg = replace(TOLD, code_noise=1.0)
    clips = replace(make_clips(), codes=torch.zeros(3, 7, 8, 8, dtype=torch.int64))
    loss(model, clips)["loss"].backward()
    (level, previous), *more = heard
    assert not more
    assert level.shape == (18,)
    assert 0 <= level.min() < level.max() <= 9
    # Of 64 codes a share of (level, level + 1) / 10 was drawn anew, of 64 choices.
    replaced = (previous != 0).float().mean((1, 2))
    assert (replaced - (level + 0.5) / 10).abs().max() < 0.25
    moved = model.noise_level.grad.any(1)
    assert moved.nonzero()[:, 0].tolist() == sorted(set(level.tolist()))


def test_imagination_tells_the_lowest_level() -> None:
    world = make_nano(steps=0).imagination()
    model = Teco(replace(world.teco.cfg, code_noise_levels=10)).requires_grad_(False)
    model.load_state_dict(world.teco.state_dict(), strict=False)
    told = Imagination(world.vqgan, model, Sampling(steps=0))
    codes = torch.randint(64, (2, 8, 8), generator=torch.Generator().manual_seed(0))
    action, noise = torch.tensor([0, 2]), torch.zeros(2, *told.noise_shape)

    def logits(imagination: Imagination) -> torch.Tensor:
        return imagination.imagine(imagination.begin(codes), action, noise)[1].logits

    expected = logits(world)
    torch.testing.assert_close(logits(told), expected)
    model.noise_level[1:] = 1.0
    torch.testing.assert_close(logits(told), expected)
    model.noise_level[0] = 1.0
    assert not torch.allclose(logits(told), expected)


def test_configurations_from_before_mean_what_they_meant() -> None:
    written = to_json(CONFIG)
    del written["code_noise_levels"]
    assert from_json(TecoConfig, written) == CONFIG


@pytest.mark.parametrize("missing", [{"code_noise": 0.0}, {"local_skip": False}])
def test_levels_of_no_noise_are_refused(missing: dict) -> None:
    with pytest.raises(InputError, match="code_noise_levels is 10, but no code is replaced"):
        replace(TOLD, **missing)
