"""Ways to compute a training that change nothing but what it costs."""

from pathlib import Path

import pytest
import stages
import torch

from worldmodel_env.errors import InputError
from worldmodel_env.models.blocks import TecoResBlock
from worldmodel_env.training.compute import Compute, prepare_blocks


def assert_same_losses(folder: Path, expected: Path, rel: float = 1e-5) -> None:
    found, wanted = stages.losses(folder), stages.losses(expected)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == pytest.approx(theirs, rel=rel, abs=1e-6)


@pytest.mark.parametrize(
    "compute",
    [Compute(precision="fp32", accumulate=4), Compute(precision="fp32", recompute=True)],
    ids=["accumulate", "recompute"],
)
def test_the_losses_are_those_of_one_whole_batch(
    compute: Compute, toy_set: Path, tokenizer_run: Path, whole_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    stages.train("teco", toy_set, tmp_path, compute=compute)
    assert_same_losses(tmp_path / "teco", whole_run / "teco")


def test_the_tokenizer_recomputes_too(toy_set: Path, tokenizer_run: Path, tmp_path: Path) -> None:
    stages.train(
        "vqgan", toy_set, tmp_path, steps=3, compute=Compute(precision="fp32", recompute=True)
    )
    for mine, theirs in zip(
        stages.losses(tmp_path / "vqgan"), stages.losses(tokenizer_run / "vqgan"), strict=False
    ):
        assert mine["l1"] == pytest.approx(theirs["l1"], rel=0.05)  # of another schedule


@pytest.mark.slow
def test_compiled_blocks_give_the_same_losses(
    toy_set: Path, tokenizer_run: Path, whole_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    compute = Compute(precision="fp32", compile=True, recompute=True)
    stages.train("teco", toy_set, tmp_path, compute=compute)
    assert_same_losses(tmp_path / "teco", whole_run / "teco", rel=1e-3)


def test_recomputing_blocks_keep_their_names_and_forget_what_is_inside() -> None:
    block, plain = TecoResBlock(8, 8), TecoResBlock(8, 8)
    plain.load_state_dict(block.state_dict())
    names = list(block.state_dict())
    prepare_blocks([block], Compute(recompute=True))
    assert list(block.state_dict()) == names
    x = torch.randn(2, 8, 4, 4, requires_grad=True)
    kept: list[list[int]] = [[], []]
    outputs = []
    for sizes, module in zip(kept, (block, plain), strict=True):

        def keep(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
            outputs.append(module(x))
        outputs[-1].square().sum().backward()
    assert torch.equal(*outputs)
    assert sum(kept[0]) < sum(kept[1]) / 3
    for mine, theirs in zip(block.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)


def test_values_out_of_range_are_refused(toy_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="accumulate is 0; give 1 or more"):
        Compute(accumulate=0)
    for compute in (Compute(accumulate=2), Compute(distributed="fsdp")):
        with pytest.raises(InputError, match="for a tokenizer, which is small; use"):
            stages.train("vqgan", toy_set, tmp_path, compute=compute)


def test_a_batch_that_cannot_be_divided_is_refused(
    toy_set: Path, tokenizer_run: Path, tmp_path: Path
) -> None:
    stages.prepare("teco", tokenizer_run, tmp_path)
    with pytest.raises(InputError, match="a batch of 4 cannot be divided among 1 processes x 3"):
        stages.train("teco", toy_set, tmp_path, compute=Compute(accumulate=3))
