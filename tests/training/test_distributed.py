"""Several processes train as one does."""

import shutil
from pathlib import Path

import pytest
import stages
import torch
from torch import nn

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.training.checkpoint import FILE, Checkpoint
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.distributed import ALONE, Team, join, whole_parameters
from worldmodel_env.training.finish import save_world

DDP, FSDP = (Compute(precision="fp32", distributed=mode) for mode in ("ddp", "fsdp"))
# Differences would add up: each step's loss depends on all steps before it.
SAME = {"rel": 1e-5, "abs": 1e-6}


def assert_same_losses(folder: Path, expected: Path) -> None:
    found, wanted = stages.losses(folder), stages.losses(expected)
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == pytest.approx(theirs, **SAME)


def assert_same_weights(folder: Path, expected: Path) -> None:
    found, wanted = Checkpoint.open(folder).weights(), Checkpoint.open(expected).weights()
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, atol=2e-4, rtol=1e-3, msg=name)


def test_two_processes_train_the_world_model_as_one(
    toy_set: Path, tokenizer_run: Path, whole_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    compute = Compute(precision="fp32", accumulate=2, distributed="ddp")
    assert stages.in_processes("teco", toy_set, tmp_path, size=2, compute=compute) == [0, 0]
    assert_same_losses(tmp_path / "teco", whole_run / "teco")
    assert_same_weights(tmp_path / "teco", whole_run / "teco")


def test_two_processes_train_the_tokenizer_as_one(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    assert stages.in_processes("vqgan", toy_set, tmp_path, size=2, compute=DDP) == [0, 0]
    found, wanted = stages.losses(tmp_path / "vqgan"), stages.losses(tokenizer_run / "vqgan")
    judged = [step for step, line in enumerate(wanted) if "discriminator" in line]
    assert judged[0] < len(wanted) - 1
    for step, (mine, theirs) in enumerate(zip(found, wanted, strict=True)):
        # Adam's first steps have one length for all gradients: where they are almost zero, rounding
        # decides their direction, and the discriminator's verdicts differ a little from then on.
        exact = theirs.keys() if step <= judged[0] else {"l1", "l2", "commitment", "codebook"}
        close = {"rel": 1e-2, "abs": 1e-3}
        assert mine == pytest.approx(theirs, **close)
        assert {k: mine[k] for k in exact} == pytest.approx({k: theirs[k] for k in exact}, **SAME)


def test_a_sharded_training_is_resumed_by_any_number_of_processes(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    """Two processes, then one with the whole model, then two again; and a world of their shards."""
    recipe = {"average_decay": 0.9, "restart_every": 2, "checkpoint_seconds": 0.0}
    one, many = tmp_path / "one", tmp_path / "many"
    stages.train("teco", toy_set, stages.prepare("teco", tokenizer_run, one), **recipe)
    stages.prepare("teco", tokenizer_run, many)
    folder = many / "teco"

    def checkpoints() -> list[str]:
        return sorted(p.name for p in folder.glob("*checkpoint*"))

    def go_on(size: int, compute: Compute, steps: int) -> list[int]:
        budget = {"steps": stages.STEPS, "signal_at": (steps, stages.signal.SIGINT)}
        options = {"compute": compute, **budget, **recipe}
        return stages.in_processes("teco", toy_set, many, size=size, **options)

    assert go_on(2, FSDP, 2) == [0, 0]
    assert checkpoints() == ["checkpoint-00000002"]
    assert {p.suffix for p in (folder / "checkpoint-00000002").iterdir()} == {
        ".safetensors", ".json",
    }  # fmt: skip
    # A process killed before it removed the old checkpoint leaves both: the newer one counts.
    old = shutil.copytree(folder / "checkpoint-00000002", folder / "checkpoint-00000001")
    about = (old / "checkpoint.json").read_text()
    (old / "checkpoint.json").write_text(about.replace('"step": 2', '"step": 1'))
    assert go_on(1, Compute(precision="fp32"), 4) == [0]
    assert checkpoints() == [FILE]
    assert go_on(2, FSDP, stages.STEPS) == [0, 0]
    assert checkpoints() == [f"checkpoint-{stages.STEPS:08d}"]
    assert_same_losses(folder, one / "teco")
    assert_same_weights(folder, one / "teco")

    world = World.load(save_world(many, toy_set, name="sharded", preset="nano"))
    start = Checkpoint.open(folder).weights()["start"]
    assert torch.equal(world.weights["teco.start"], start.half().float())


def test_a_killed_sharded_training_leaves_the_old_checkpoint_or_the_new_one(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    options = {"compute": FSDP, "checkpoint_seconds": 0.0, "signal_at": (3, stages.signal.SIGKILL)}
    statuses = stages.in_processes("teco", toy_set, tmp_path, size=2, **options)
    assert -stages.signal.SIGKILL in statuses
    assert Checkpoint.open(tmp_path / "teco").counters["step"] == 2


def test_a_damaged_shard_is_refused(toy_set: Path, tokenizer_run: Path, tmp_path: Path) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    stages.in_processes("teco", toy_set, tmp_path, size=2, compute=FSDP, steps=1)
    shard = sorted((tmp_path / "teco").glob("checkpoint-*/*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-50])
    with pytest.raises(InputError, match="checkpoint-00000001 is damaged"):
        Checkpoint.open(tmp_path / "teco")
    shutil.rmtree(shard.parent)
    shard.parent.mkdir()  # without its manifest it is no checkpoint
    assert Checkpoint.find(tmp_path / "teco") is None


def test_rows_are_divided_among_processes_and_then_parts() -> None:
    rows = [Team("ddp", rank, 3).rows(12, 2) for rank in range(3)]
    flat = [(part.start, part.stop) for parts in rows for part in parts]
    assert flat == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10), (10, 12)]
    with pytest.raises(InputError, match="a batch of 8 cannot be divided among 3 processes x 1"):
        Team("ddp", 0, 3).rows(8, 1)


def test_one_process_is_a_team_too() -> None:
    x = torch.arange(3.0)
    assert torch.equal(ALONE.gather(x), x)
    assert torch.equal(ALONE.mean(x), x)
    assert ALONE.largest(2.5) == 2.5
    assert ALONE.leads
    module = nn.Linear(2, 2)
    assert ALONE.wrap(module, []) is module
    before = module.weight
    with whole_parameters(module), torch.no_grad():
        module.weight.zero_()
    assert module.weight is before
    assert not module.weight.any()


def test_torchrun_and_the_option_belong_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(InputError, match="--distributed ddp needs several processes; start it as"),
        join("ddp", torch.device("cpu")),
    ):
        pass
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(InputError, match="started 2 processes that would train apart; add"),
        join("none", torch.device("cpu")),
    ):
        pass
