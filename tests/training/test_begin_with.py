"""Training that goes on from a world."""

from dataclasses import replace
from pathlib import Path

import pytest
import stages
import torch
from nano import make_nano

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.finish import save_world


def weights(world: World, part: str) -> dict[str, torch.Tensor]:
    return {
        k.removeprefix(f"{part}."): v for k, v in world.weights.items() if k.startswith(f"{part}.")
    }


def test_training_begins_with_the_worlds_weights_and_tokenizer(
    toy_set: Path, nano_world: Path, tmp_path: Path
) -> None:
    """At a learning rate of zero nothing moves, not even codes, which else start from data."""
    world = World.load(nano_world)
    stages.train(
        "teco", toy_set, tmp_path, steps=1, begin_with=world, learning_rate=0.0, weight_decay=0.0
    )
    learned = Checkpoint.open(tmp_path / "teco").weights()
    ours = weights(world, "teco")
    assert learned.keys() == ours.keys()
    moved = [k for k, v in ours.items() if not torch.equal(learned[k], v)]
    assert moved == ["codebook.codebook.usage"]
    tokenizer = Checkpoint.open(tmp_path / "vqgan").weights()
    assert all(torch.equal(tokenizer[k], v) for k, v in weights(world, "vqgan").items())
    saved = World.load(save_world(tmp_path, toy_set, name="a", preset="nano", begun_with=world))
    assert saved.provenance["begun_with"] == f"nano {world.digest[:12]}"
    assert saved.provenance["earlier_trainings"] == {f"nano {world.digest[:12]}": {}}
    later = World.load(save_world(tmp_path, toy_set, name="b", preset="nano", begun_with=saved))
    assert list(later.provenance["earlier_trainings"].items()) == [
        (f"nano {world.digest[:12]}", {}),
        (f"a {saved.digest[:12]}", {
            "step": 1, "seconds": saved.provenance["world_model_seconds"],
            "data_sha256": saved.provenance["data_sha256"],
            "train_frames": saved.provenance["train_frames"],
        }),
    ]  # fmt: skip


def test_it_learns_and_resumes(toy_set: Path, nano_world: Path, tmp_path: Path) -> None:
    world = World.load(nano_world)
    stages.train("teco", toy_set, tmp_path / "a", steps=2, begin_with=world)
    stages.train("teco", toy_set, tmp_path / "a", steps=4, begin_with=world)
    checkpoint = Checkpoint.open(tmp_path / "a" / "teco")
    assert checkpoint.counters["step"] == 4
    assert not torch.equal(checkpoint.weights()["start"], world.weights["teco.start"])
    with pytest.raises(InputError, match=r"begun_with is 'nano .*', now ''"):
        stages.train("teco", toy_set, tmp_path / "a", steps=5)


def test_a_run_with_another_tokenizer_is_refused(
    toy_set: Path, nano_world: Path, whole_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", whole_run, tmp_path)
    with pytest.raises(InputError, match="another tokenizer than world 'nano'"):
        stages.train("teco", toy_set, tmp_path, steps=1, begin_with=World.load(nano_world))


def test_a_world_of_other_sizes_is_refused(
    toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_nano(resolution=64)
    with pytest.raises(InputError, match="tokenizer of another configuration"):
        stages.train("teco", toy_set, tmp_path, steps=1, begin_with=other)
    smaller = replace(make_nano(), weights={**make_nano().weights, "teco.null_z": torch.zeros(3)})
    with pytest.raises(InputError, match="null_z"):
        stages.train("teco", toy_set, tmp_path, steps=1, begin_with=smaller)
    arguments = ["--data", str(toy_set), "--out", str(tmp_path), "--steps", "1"]
    with pytest.raises(SystemExit):
        main(["train", "teco", "--preset", "nano", "--begin-with", "nowhere", *arguments])
    assert "world 'nowhere' is neither shipped" in capsys.readouterr().err
