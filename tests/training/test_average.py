"""A world half way between two."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nano import make_nano

from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.training.average import average


@pytest.fixture
def before(nano_world: Path) -> World:
    return World.load(nano_world)


@pytest.fixture
def after(before: World, tmp_path: Path) -> World:
    """The same tokenizer, every other number one more; trained on, as it were."""
    weights = {
        k: v + 1 if k.startswith("teco.") and v.is_floating_point() else v
        for k, v in before.weights.items()
    }
    made = replace(before, name="after", weights=weights, quality={"PSNR": 1.0})
    return World.load(made.save(tmp_path / "after"))


def test_weights_lie_between_and_the_tokenizer_stays(before: World, after: World) -> None:
    made = average(before, after, 0.25)
    for name, old in before.weights.items():
        new = after.weights[name]
        expected = 0.75 * old + 0.25 * new if old.is_floating_point() else new
        torch.testing.assert_close(made.weights[name], expected, atol=1e-5, rtol=0)
        assert not name.startswith("vqgan.") or torch.equal(made.weights[name], old)
    assert made.name == "after"
    assert made.provenance["averaged"] == {
        f"nano {before.digest[:12]}": 0.75, f"after {after.digest[:12]}": 0.25,
    }  # fmt: skip
    assert made.quality == {}, "the numbers of either are not its own"
    for share, world in ((0.0, before), (1.0, after)):
        ends = average(before, after, share).weights
        assert all(torch.equal(ends[k], v) for k, v in world.weights.items())


def test_what_has_nothing_between_it_is_refused(before: World, after: World) -> None:
    with pytest.raises(InputError, match=r"share is 1\.5; give 0"):
        average(before, after, 1.5)
    moved = {k: v + 1 if k.startswith("vqgan.") else v for k, v in after.weights.items()}
    with pytest.raises(InputError, match="tokenizers of other weights"):
        average(before, replace(after, weights=moved))
    with pytest.raises(InputError, match="other architectures or actions"):
        average(before, make_nano(recall=4))


def test_the_command_writes_a_world(nano_world: Path, after: World, tmp_path: Path) -> None:
    main([
        "average", "--worlds", str(nano_world), str(tmp_path / "after"), "--share", "0.5",
        "--out", str(tmp_path / "between"),
    ])  # fmt: skip
    assert World.load(tmp_path / "between").provenance["averaged"]
