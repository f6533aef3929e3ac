"""Checkpoints: exact, atomic, and refused where they do not fit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from worldmodel_env.data import writer
from worldmodel_env.errors import InputError
from worldmodel_env.training.checkpoint import FILE, SCHEMA, Checkpoint, Part, save_checkpoint
from worldmodel_env.training.ema import Ema


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...] = (4, 3)


@dataclass(frozen=True)
class Config:
    inner: Inner = Inner()
    rate: float = 0.1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.unused = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("count", torch.zeros(3))


def build(seed: int = 0) -> dict[str, Part]:
    torch.manual_seed(seed)
    net = Net().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.01)
    return {"model": net, "optimizer": optimizer}


def advance(parts: Mapping[str, Any], steps: range) -> None:
    net, optimizer = parts["model"], parts["optimizer"]
    for step in steps:
        x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        (net.scale * net.conv(x)).square().mean().backward()
        optimizer.step()
        net.count += step


def save(folder: Path, parts: Mapping[str, Part], step: int = 4) -> None:
    save_checkpoint(folder, parts, config=Config(), counters={"step": step, "seed": 7})


def test_going_on_from_a_checkpoint_is_bit_equal(tmp_path: Path) -> None:
    parts = build()
    advance(parts, range(4))
    save(tmp_path, parts)
    advance(parts, range(4, 9))

    again = build(seed=1)
    checkpoint = Checkpoint.open(tmp_path)
    checkpoint.restore(again, config=Config(), same={"seed": 7})
    assert checkpoint.counters == {"step": 4, "seed": 7}
    advance(again, range(4, 9))
    for name, value in parts["model"].state_dict().items():
        assert torch.equal(again["model"].state_dict()[name], value), name


def test_a_model_alone_can_be_restored(tmp_path: Path) -> None:
    parts = build()
    advance(parts, range(2))
    save(tmp_path, parts)
    checkpoint, again = Checkpoint.open(tmp_path), build(seed=1)
    checkpoint.restore({"model": again["model"]}, config=Config())
    weights = parts["model"].state_dict()
    for found in (again["model"].state_dict(), checkpoint.weights()):
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[k], v) for k, v in weights.items())


def test_an_average_is_kept_beside_what_is_trained(tmp_path: Path) -> None:
    parts = build()
    average = Ema(parts["model"], decay=0.5)
    advance(parts, range(3))
    average.update(parts["model"], 3)
    both: dict[str, Part] = {**parts, "trained": parts["model"], "model": average}
    save(tmp_path, both)
    weights = Checkpoint.open(tmp_path).weights()
    assert torch.equal(weights["conv.weight"], average.state_dict()["conv.weight"])
    again = build(seed=1)
    other = Ema(again["model"], decay=0.5)
    Checkpoint.open(tmp_path).restore(
        {**again, "trained": again["model"], "model": other}, config=Config()
    )
    assert torch.equal(other.state_dict()["conv.weight"], weights["conv.weight"])
    assert torch.equal(again["model"].conv.weight, parts["model"].conv.weight)


def test_other_settings_are_refused_field_by_field(tmp_path: Path) -> None:
    parts = build()
    save(tmp_path, parts)
    before = parts["model"].conv.weight.clone()
    other = Config(Inner((4, 5)), 0.2)
    with pytest.raises(InputError) as error:
        Checkpoint.open(tmp_path).restore(build(1), config=other, same={"seed": 8})
    message = str(error.value)
    assert "inner.sizes is [4, 3], now [4, 5]; rate is 0.1, now 0.2; seed is 7, now 8" in message
    assert "use the same ones or another --out" in message
    assert torch.equal(parts["model"].conv.weight, before)


def test_a_field_that_is_newer_than_the_checkpoint_has_its_default(tmp_path: Path) -> None:
    parts = build()
    save(tmp_path, parts)
    path = tmp_path / FILE
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    about = json.loads(metadata["config"])
    del about["rate"]
    save_file(load_file(path), path, {**metadata, "config": json.dumps(about)})
    Checkpoint.open(tmp_path).restore(parts, config=Config(), same={"seed": 7, "newer": 1})
    with pytest.raises(InputError, match=r"rate is 0\.1, now 0\.2"):
        Checkpoint.open(tmp_path).restore(parts, config=Config(rate=0.2))


def test_other_shapes_are_refused_tensor_by_tensor(tmp_path: Path) -> None:
    parts = build()
    advance(parts, range(1))
    save(tmp_path, parts)
    other = Net()
    other.conv = nn.Conv2d(3, 5, 3, bias=False)
    other.extra = nn.Parameter(torch.zeros(2, 2))
    before = other.conv.weight.clone()
    optimizer = torch.optim.AdamW(other.parameters())
    with pytest.raises(InputError) as error:
        Checkpoint.open(tmp_path).restore({"model": other, "optimizer": optimizer}, config=Config())
    message = str(error.value)
    assert f"{tmp_path / FILE} holds other tensors" in message
    assert "model.conv.bias is '4', now None" in message
    assert "model.conv.weight is '4x3x3x3', now '5x3x3x3'" in message
    assert "model.extra is None, now '2x2'" in message
    assert torch.equal(other.conv.weight, before)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / FILE, {"schema": str(SCHEMA + 1)})
    with pytest.raises(InputError, match=f"schema {SCHEMA + 1}, this .* reads {SCHEMA}; upgrade"):
        Checkpoint.open(tmp_path)


def test_an_absent_checkpoint_is_refused(tmp_path: Path) -> None:
    assert Checkpoint.find(tmp_path) is None
    with pytest.raises(InputError, match="does not exist; train that stage first"):
        Checkpoint.open(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 300, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, size: int) -> None:
    save(tmp_path, build())
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged"):
        Checkpoint.open(tmp_path)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(InputError, match="is damaged"):
        Checkpoint.open(tmp_path)


def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = build()
    save(tmp_path, parts)
    before = (tmp_path / FILE).read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.os, "fsync", full)
    advance(parts, range(1))
    with pytest.raises(InputError, match="No space left on device"):
        save(tmp_path, parts)
    assert (tmp_path / FILE).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    parts = build()
    advance(parts, range(1))
    save(tmp_path, parts)
    with safe_open(tmp_path / FILE, framework="numpy") as file:
        assert json.loads(file.metadata()["counters"])["step"] == 4
        assert file.get_tensor("model.conv.weight").dtype == "float32"
        assert "optimizer.2.exp_avg" in file.keys()  # noqa: SIM118
