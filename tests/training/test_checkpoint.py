"""Checkpoints: exact, atomic, and refused where they do not fit."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from worldmodel_env.data import writer
from worldmodel_env.errors import InputError
from worldmodel_env.training.checkpoint import (
    CHECKPOINT,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)


@dataclass(frozen=True)
class Part:
    sizes: tuple[int, ...] = (4, 3)


@dataclass(frozen=True)
class Config:
    part: Part = Part()
    rate: float = 0.1


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.unused = nn.Parameter(torch.zeros(2))
        self.register_buffer("count", torch.zeros(3))


def build(seed: int = 0) -> tuple[Net, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    net = Net().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return net, torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.01)


def advance(net: Net, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        net.conv(x).square().mean().backward()
        optimizer.step()
        net.count += step


def save(folder: Path, net: Net, optimizer: torch.optim.Optimizer | None = None) -> None:
    save_checkpoint(folder, net, optimizer, config=Config(), counters={"step": 4, "seed": 7})


def test_going_on_from_a_checkpoint_is_bit_equal(tmp_path: Path) -> None:
    net, optimizer = build()
    advance(net, optimizer, range(4))
    save(tmp_path, net, optimizer)
    advance(net, optimizer, range(4, 9))

    again, again_optimizer = build(seed=1)
    counters = load_checkpoint(tmp_path, again, again_optimizer, config=Config())
    assert counters == {"step": 4, "seed": 7}
    advance(again, again_optimizer, range(4, 9))
    for name, value in net.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_a_finished_model_needs_no_optimizer(tmp_path: Path) -> None:
    net, optimizer = build()
    advance(net, optimizer, range(2))
    save(tmp_path / "with", net, optimizer)
    save(tmp_path / "without", net)
    for folder in ("with", "without"):
        again, _ = build(seed=1)
        load_checkpoint(tmp_path / folder, again, None, config=Config())
        assert torch.equal(again.conv.weight, net.conv.weight)


def test_other_settings_are_refused_field_by_field(tmp_path: Path) -> None:
    net, optimizer = build()
    save(tmp_path, net, optimizer)
    other = Config(Part((4, 5)), 0.2)
    before = net.conv.weight.clone()
    with pytest.raises(InputError) as error:
        load_checkpoint(tmp_path, net, optimizer, config=other, same={"seed": 8})
    message = str(error.value)
    assert "part.sizes is [4, 3], now [4, 5]; rate is 0.1, now 0.2; seed is 7, now 8" in message
    assert "use the same ones or another --out" in message
    assert torch.equal(net.conv.weight, before)


def test_tensors_of_another_version_are_refused(tmp_path: Path) -> None:
    net, _ = build()
    save(tmp_path, net)
    other = Net()
    other.conv = nn.Conv2d(3, 5, 3)
    with pytest.raises(InputError, match=r"written by another version .*conv\.weight"):
        load_checkpoint(tmp_path, other, None, config=Config())


def test_an_absent_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist; train that stage first"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("size", [0, 4, 300, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, size: int) -> None:
    net, optimizer = build()
    save(tmp_path, net, optimizer)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is damaged"):
        read_checkpoint(tmp_path)


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / CHECKPOINT)
    with pytest.raises(InputError, match="is damaged"):
        read_checkpoint(tmp_path)


def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, optimizer = build()
    save(tmp_path, net, optimizer)
    before = (tmp_path / CHECKPOINT).read_bytes()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer.os, "fsync", full)
    advance(net, optimizer, range(1))
    with pytest.raises(InputError, match="No space left on device"):
        save(tmp_path, net, optimizer)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    from safetensors import safe_open

    net, optimizer = build()
    advance(net, optimizer, range(1))
    save(tmp_path, net, optimizer)
    with safe_open(tmp_path / CHECKPOINT, framework="numpy") as file:
        assert json.loads(file.metadata()["counters"])["step"] == 4
        assert file.get_tensor("model.conv.weight").dtype == "float32"
        assert "optimizer.1.exp_avg" in file.keys()  # noqa: SIM118
