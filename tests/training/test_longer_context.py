"""Longer context in stages: a world goes on with another window, a memory, fewer weights."""

from pathlib import Path
from typing import Any

import pytest
import stages
import torch
from nano import make_nano

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.temporal import Layer, TemporalConfig, TemporalTransformer
from worldmodel_env.training.begin_with import take_weights
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.compute import Compute, prepare_blocks
from worldmodel_env.training.portions import is_mixer, parameter_groups

MEMORIES = pytest.mark.parametrize("memory", ["gated_delta", "mamba2", "ttt_linear", "ttt_mlp"])


def nano(**temporal: Any) -> Teco:
    return make_nano(**temporal).imagination().teco


def test_a_world_goes_on_with_a_longer_window_and_a_memory(
    toy_set: Path, nano_world: Path, tmp_path: Path
) -> None:
    """The commands of the documentation, in small; the second stage goes on from the first."""
    common = ["train", "teco", "--preset", "nano", "--data", str(toy_set), "--threads", "1"]
    memory = ["--memory", "gated_delta", "--window", "4", "--sink", "1"]
    first, second = tmp_path / "first", tmp_path / "second"
    begin = ["--begin-with", str(nano_world), "--out", str(first), "--steps", "2"]
    main([*common, *memory, *begin, "--clip", "7", "--rest-rate", "0.1", "--sampling-steps", "0"])
    world = World.load(first / "world")
    assert world.config.sampling.steps == 0
    temporal = world.config.teco.temporal
    assert (temporal.memory, temporal.window, temporal.sink) == ("gated_delta", 4, 1)
    names = "temporal.layers.0.memory, temporal.layers.1.memory"
    assert world.provenance["new_parameters"] == names
    assert world.provenance["begun_with"].startswith("nano ")

    begin = ["--begin-with", str(first / "world"), "--out", str(second), "--steps", "2"]
    longer = ["--clip", "7", "--carry", "3", "--rest-rate", "0", "--learning-rate", "1e-3"]
    main([*common, *memory, *begin, *longer])
    later = World.load(second / "world")
    assert "new_parameters" not in later.provenance
    changed = {
        name.removeprefix("teco.")
        for name, tensor in world.weights.items()
        if name.startswith("teco.") and not torch.equal(tensor, later.weights[name])
    }
    assert "temporal.layers.1.memory.mixer.qkv.weight" in changed
    assert {name for name in changed if not is_mixer(name)} <= {"codebook.codebook.usage"}


def test_a_memory_is_added_only_where_it_was_asked_for() -> None:
    world, model = make_nano(), nano(memory="mamba2", window=3)
    with pytest.raises(InputError, match="has no memory and the model's is 'mamba2'; add it with"):
        take_weights(world, model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fresh = take_weights(world, model, new_memory=True)
    assert fresh == ["temporal.layers.0.memory", "temporal.layers.1.memory"]
    for name, tensor in model.state_dict().items():
        new = any(name.startswith(f"{module}.") for module in fresh)
        expected = before[name] if new else world.weights[f"teco.{name}"]
        assert torch.equal(tensor, expected), name
    assert torch.equal(model.temporal.layers[0].memory.alpha, torch.full((32,), 0.1))


def test_another_memory_or_less_is_refused() -> None:
    """Weights that are there are never left out."""
    world = make_nano(memory="mamba2")
    for memory in ("none", "gated_delta"):
        with pytest.raises(InputError, match="other weights than the preset's model"):
            take_weights(world, nano(memory=memory), new_memory=True)
    assert take_weights(world, nano(memory="mamba2", window=20), new_memory=True) == []


def test_a_memory_and_absolute_positions_are_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", "nowhere", "--out", str(tmp_path), "--steps", "1"]
    for option in (["--memory", "mamba2"], ["--sink", "2"]):
        with pytest.raises(SystemExit):
            main(["train", "teco", "--preset", "dmlab", *option, *arguments])
        assert "absolute positions end with the window" in capsys.readouterr().err


def test_nothing_to_begin_with_and_nothing_to_learn_is_refused(
    toy_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="rest_rate is 0, but there is no world to begin with"):
        stages.train("teco", toy_set, tmp_path, rest_rate=0.0)


def test_the_rest_learns_at_its_share_of_the_rate() -> None:
    model = nano(memory="ttt_linear").requires_grad_(True)
    mixers, rest = parameter_groups(model, 0.1)
    assert (mixers["share"], rest["share"]) == (1.0, 0.1)
    assert len(mixers["params"]) + len(rest["params"]) == len(list(model.parameters()))
    names = {n for n, p in model.named_parameters() if any(p is q for q in mixers["params"])}
    assert "temporal.layers.1.memory.alpha" in names
    assert "temporal.layers.0.attention.qkv.weight" in names
    assert not any("mlp" in n or n.startswith(("prior", "decoder")) for n in names)
    assert len(parameter_groups(model, 1.0)) == len(parameter_groups(model, 0.0)) == 1


def test_a_slow_rest_resumes(toy_set: Path, nano_world: Path, tmp_path: Path) -> None:
    world = World.load(nano_world)
    options = {"begin_with": world, "rest_rate": 0.1}
    stages.train("teco", toy_set, tmp_path / "a", steps=4, **options)
    stages.in_processes(
        "teco", toy_set, tmp_path / "b", steps=4, signal_at=(3, 9), checkpoint_seconds=0.0,
        **options,
    )  # fmt: skip
    stages.train("teco", toy_set, tmp_path / "b", steps=4, **options)
    one, other = (Checkpoint.open(tmp_path / run / "teco").weights() for run in "ab")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    with pytest.raises(InputError, match=r"rest_rate is 0\.1, now 1\.0"):
        stages.train("teco", toy_set, tmp_path / "a", steps=5, begin_with=world)


@MEMORIES
def test_recomputing_covers_memories_in_long_clips(memory: str) -> None:
    """What is kept for the backward pass of 120 frames; the gradients are the same."""
    torch.manual_seed(0)
    config = TemporalConfig(32, 64, 2, 2, "window", window=6, memory=memory)
    plain = TemporalTransformer(config, 2)
    other = TemporalTransformer(config, 2)
    other.load_state_dict(plain.state_dict())
    prepare_blocks([m for m in other.modules() if isinstance(m, Layer)], Compute(recompute=True))
    x = torch.randn(2, 120, 2, 32)
    kept = []
    for model in (plain, other):
        sizes: dict[int, int] = {}

        def keep(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            y, _ = model.chunk(x, model.begin(2, x))
        y.square().sum().backward()
        kept.append(sum(sizes.values()))
    assert kept[1] < kept[0] / 3
    for mine, theirs in zip(other.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, atol=1e-4, rtol=1e-4)
