"""Training whose rows go on, from step to step, where they ended."""

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import stages
import torch
from test_compute import assert_same_losses
from test_resume import assert_same

from worldmodel_env.errors import InputError
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.presets import Preset, load_preset
from worldmodel_env.training.carry import check_carry
from worldmodel_env.training.checkpoint import FILE, Checkpoint
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.recipes import LossConfig, TecoTraining

RECIPE = {"carry": 3, "clip": 5}
PLAIN = Compute()


def train(data: Path, tokenizer_run: Path, out: Path, **options: Any) -> Path:
    """Six steps in which rows are carried; returns the stage's folder."""
    stages.prepare("teco", tokenizer_run, out)
    stages.train("teco", data, out, **{**RECIPE, **options})
    return out / "teco"


@pytest.fixture(scope="module")
def carried_run(
    toy_set: Path, tokenizer_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Trained without disturbance; not to be changed."""
    out = tmp_path_factory.mktemp("carried")
    train(toy_set, tokenizer_run, out)
    return out


def test_killed_and_resumed_equals_undisturbed(
    toy_set: Path, tokenizer_run: Path, carried_run: Path, tmp_path: Path
) -> None:
    """kill -9 after the loss of step 5 was logged, before the step was saved."""
    stages.prepare("teco", tokenizer_run, tmp_path)
    options = {"signal_at": (5, signal.SIGKILL), "checkpoint_seconds": 0.0, **RECIPE}
    assert stages.in_processes("teco", toy_set, tmp_path, **options) == [-signal.SIGKILL]
    checkpoint = Checkpoint.open(tmp_path / "teco")
    assert checkpoint.counters["step"] == 4
    state = {"codes": torch.empty(checkpoint.shapes["carried.codes"], dtype=torch.int64)}
    checkpoint.read({"carried.codes": state["codes"]})
    assert state["codes"].any()
    stages.train("teco", toy_set, tmp_path, **RECIPE)
    assert_same(tmp_path / "teco", carried_run / "teco")


def test_what_is_carried_matters(
    toy_set: Path, tokenizer_run: Path, carried_run: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The same clips with a state that is forgotten: other losses, but not in the first step."""
    monkeypatch.setattr("worldmodel_env.training.carry.Carried.replace", lambda self, state: None)
    monkeypatch.setattr(
        "worldmodel_env.training.teco.continued",
        lambda model, clips, state, begins: _fresh(model, clips),
    )
    found = stages.losses(train(toy_set, tokenizer_run, tmp_path))
    expected = stages.losses(carried_run / "teco")
    assert found[0] == expected[0]
    assert all(a["loss"] != b["loss"] for a, b in zip(found[1:], expected[1:], strict=True))


def _fresh(model: Any, clips: Any) -> Any:
    from worldmodel_env.training.encoded import continued

    return continued(model, clips)


@pytest.mark.parametrize(
    ("size", "compute"),
    [
        (1, Compute(precision="fp32", accumulate=2)),
        (1, Compute(precision="fp32", recompute=True)),
        (2, Compute(precision="fp32", accumulate=2, distributed="ddp")),
    ],
    ids=["accumulate", "recompute", "ddp"],
)
def test_the_losses_are_those_of_one_whole_batch(
    size: int,
    compute: Compute,
    toy_set: Path,
    tokenizer_run: Path,
    carried_run: Path,
    tmp_path: Path,
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    options = {"compute": compute, "size": size, **RECIPE}
    assert stages.in_processes("teco", toy_set, tmp_path, **options) == [0] * size
    assert_same_losses(tmp_path / "teco", carried_run / "teco")
    names = [k for k in Checkpoint.open(tmp_path / "teco").shapes if k.startswith("carried.")]
    theirs, ours = (
        {k: torch.zeros(Checkpoint.open(f / "teco").shapes[k]) for k in names}
        for f in (tmp_path, carried_run)
    )
    Checkpoint.open(tmp_path / "teco").read(theirs)
    Checkpoint.open(carried_run / "teco").read(ours)
    assert torch.equal(theirs["carried.codes"], ours["carried.codes"])
    for name in ("carried.keys_0", "carried.values_0"):
        torch.testing.assert_close(theirs[name], ours[name], atol=1e-3, rtol=0)


def test_it_goes_with_bfloat16_averages_and_self_resampling(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    loss = LossConfig(drop_loss=0.5, self_resampling=0.5)
    compute = Compute(precision="bf16", accumulate=2)
    folder = train(
        toy_set, tokenizer_run, tmp_path, loss=loss, compute=compute, average_decay=0.9, steps=4
    )
    assert Checkpoint.open(folder).shapes["carried.index"] == (4,)


def test_a_run_without_carry_is_not_continued_with_it(
    toy_set: Path, tokenizer_run: Path, whole_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", whole_run, tmp_path)
    (tmp_path / "teco").mkdir()
    (tmp_path / "teco" / FILE).write_bytes((whole_run / "teco" / FILE).read_bytes())
    with pytest.raises(InputError, match=r"carried\.keys_0 .*another --out"):
        stages.train("teco", toy_set, tmp_path, carry=3, steps=7)


def test_clips_that_never_continue_are_refused(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    with pytest.raises(InputError, match=r"carry is 3, but no episode has the 199 frames of two"):
        stages.train("teco", toy_set, tmp_path, carry=3, clip=100)


def model(**changes: Any) -> TecoConfig:
    return replace(load_preset("nano").teco, **changes)


def test_what_cannot_be_carried_is_refused() -> None:
    nano: Preset = load_preset("nano")
    recipe = replace(nano.teco_training, carry=8)
    check_carry(recipe, nano.teco, PLAIN)
    absolute = replace(nano.teco.temporal, positions="absolute")
    with pytest.raises(InputError, match="carry is 8, but the model's positions are absolute"):
        check_carry(recipe, model(temporal=absolute), PLAIN)
    with pytest.raises(InputError, match="carry is 8, but first frames"):
        check_carry(recipe, model(first_frame=True), PLAIN)
    ahead = replace(recipe, loss=LossConfig(actions_ahead=1))
    with pytest.raises(InputError, match="carry is 8 and actions_ahead 1"):
        check_carry(ahead, nano.teco, PLAIN)
    shared = Compute(distributed="fsdp")
    check_carry(replace(ahead, carry=1), model(temporal=absolute), shared)
    with pytest.raises(InputError, match=r"carry is 8 with --distributed fsdp, .* use ddp"):
        check_carry(recipe, nano.teco, shared)
    with pytest.raises(InputError, match="carry is 8 with --compile and --recompute"):
        check_carry(recipe, nano.teco, Compute(compile=True, recompute=True))
    with pytest.raises(InputError, match="carry is 0; give 1 or more"):
        TecoTraining(carry=0)
    with pytest.raises(InputError, match="a clip is 1 frames; give 2 or more"):
        TecoTraining(clip=1)
    with pytest.raises(InputError, match=r"rest_rate is 1\.5; give a share from 0 to 1"):
        TecoTraining(rest_rate=1.5)
    with pytest.raises(InputError, match=r"ends is -0\.1; give a share from 0 to 1"):
        TecoTraining(ends=-0.1)
    with pytest.raises(InputError, match=r"ends is 0\.5 and carry 2, .* give one of them"):
        TecoTraining(ends=0.5, carry=2)
