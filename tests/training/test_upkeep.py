"""Upkeep of a codebook and of its average over training."""

import pytest
import torch

from worldmodel_env.models.codebook import Codebook
from worldmodel_env.training.upkeep import renew_codes


@pytest.fixture
def codebook() -> Codebook:
    torch.manual_seed(0)
    book = Codebook(6, 4)
    torch.nn.init.normal_(book.weight)
    return book


def renew(codebook: Codebook, average: torch.Tensor | None, *, first: bool) -> torch.Tensor:
    """Renew on fixed latents; returns which codes moved."""
    before = codebook.weight.detach().clone()
    latents = torch.randn(40, 4, generator=torch.Generator().manual_seed(1))
    renew_codes(codebook, average, latents, torch.Generator().manual_seed(2), first=first)
    return (codebook.weight.detach() != before).any(1)


def test_unused_codes_move_in_the_average_too(codebook: Codebook) -> None:
    """An average that kept old places would take a thousand steps to follow the move."""
    codebook.usage[2] = codebook.usage[5] = 0.0
    average = codebook.weight.detach() + 0.1
    before = average.clone()
    moved = renew(codebook, average, first=False)
    assert moved.tolist() == [False, False, True, False, False, True]
    assert torch.equal(average[moved], codebook.weight.detach()[moved])
    assert torch.equal(average[~moved], before[~moved])


def test_the_first_time_all_codes_move(codebook: Codebook) -> None:
    average = torch.zeros(6, 4)
    assert renew(codebook, average, first=True).all()
    assert torch.equal(average, codebook.weight.detach())


def test_no_average_is_fine(codebook: Codebook) -> None:
    assert renew(codebook, None, first=True).all()
    assert codebook.weight.requires_grad
