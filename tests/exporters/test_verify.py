"""Drift: what is equal has none, what is not fails."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from nano import SPACES, make_nano

from exporters import drift, verify
from exporters.drift import Walks, limits, measure, within_limits
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.models.sampling import Sampling

WORLDS, STEPS = 2, 12


@pytest.fixture(scope="module")
def world():
    return make_nano()


@pytest.fixture(scope="module")
def walks(world):
    return Walks.random(world, steps=STEPS, worlds=WORLDS, seed=0)


@pytest.fixture(scope="module")
def reference(world):
    return TorchBackend(world, precision="fp32")


def test_nothing_drifts_from_itself(world, walks, reference):
    result = measure(reference, TorchBackend(world, precision="fp32"), walks)
    assert result.forced.codes.shape == (STEPS,)
    for curves in (result.forced, result.free):
        assert (curves.codes == 1).all()
        assert (curves.psnr == 100).all()
    assert result.cache == result.reward == result.termination == 0
    assert all(within_limits(result, least) for least in drift.LIMITS.values())


def test_small_errors_grow(world, walks, reference):
    other = TorchBackend(world, precision="fp32")
    with torch.no_grad():
        for weight in other.model.teco.parameters():
            weight += (
                3e-3
                * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
                * weight.abs().mean()
            )
    result = measure(reference, other, walks)
    assert 0.5 < result.forced.codes.mean() < 1
    assert result.free.codes[-4:].mean() < result.forced.codes.mean()
    assert result.cache > 0
    assert not within_limits(result, drift.LIMITS["fp32"])


def test_limits_are_those_of_the_kinds_of_frames():
    assert limits("bf16", Sampling(steps=0)) == drift.LIMITS["bf16"]
    assert limits("bf16", Sampling(steps=2)) == drift.DRAWN
    assert limits("bf16", Sampling(steps=2, share=0.5)) == (0.785, 28.5, 0.15)
    assert limits("fp32", Sampling(steps=2)) == drift.LIMITS["fp32"]


@pytest.mark.parametrize("kind", SPACES)
def test_walks(kind):
    world = make_nano(kind)
    walks = Walks.random(world, steps=50, worlds=3, seed=1)
    assert walks.actions.shape[:2] == (50, 3)
    assert all(a.reshape(-1).tolist() for a in walks.actions)
    changed = (walks.actions[1:] != walks.actions[:-1]).reshape(49, 3, -1).any(-1)
    assert 0.05 < changed.mean() < 0.6
    again = Walks.random(world, steps=50, worlds=3, seed=1)
    np.testing.assert_array_equal(walks.actions, again.actions)
    assert torch.equal(walks.keys, again.keys)


@pytest.fixture
def cached(exported_nano, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(exported_nano))


def test_report(nano_world, cached, monkeypatch, tmp_path, capsys):
    pytest.importorskip("openvino")
    exact = tuple(pair for pair in verify.BACKENDS if pair[1] == "fp32")
    monkeypatch.setattr(verify, "BACKENDS", exact)
    assert verify.verify(str(nano_world), tmp_path / "out", frames=4, worlds=2)
    report = json.loads((tmp_path / "out" / "drift.json").read_text())
    assert set(report["backends"]) == {"onnxruntime fp32", "openvino fp32"}
    assert report["passed"]
    assert len(report["backends"]["openvino fp32"]["free"]["psnr"]) == 4
    assert (tmp_path / "out" / "drift.png").stat().st_size > 10_000
    assert "frame 4" in capsys.readouterr().out


def test_errors_fail(nano_world, cached, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(verify, "BACKENDS", (("onnxruntime", "fp32"),))
    monkeypatch.setitem(drift.LIMITS, "fp32", (1.1, 0.0, 0.0))
    arguments = ["verify.py", "--world", str(nano_world), "--out", str(tmp_path), "--frames", "2"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as exit_:
        verify.main()
    assert exit_.value.code == 1
    said = capsys.readouterr()
    assert "FAILS" in said.out
    assert "larger than it may be" in said.err
    assert not json.loads((tmp_path / "drift.json").read_text())["passed"]


def test_bad_input(nano_world, made, tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match="frames is 0"):
        verify.verify(str(nano_world), tmp_path, frames=0)
    monkeypatch.setattr(sys, "argv", ["verify.py", "--export", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as exit_:
        verify.main()
    assert exit_.value.code == 2
    assert "holds no export" in capsys.readouterr().err


def test_a_stale_export_is_refused(made, tmp_path, nano):
    other = replace(nano, name="other").save(tmp_path / "other")
    verify.Export.load(made.folder, verify.World.load(other))  # the same but for its name
    changed = make_nano(seed=3).save(tmp_path / "changed")
    with pytest.raises(InputError, match="stale"):
        verify.verify(str(changed), tmp_path / "out", export=made.folder)
