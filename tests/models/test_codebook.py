"""Vector quantisation: choice, gradients, upkeep."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worldmodel_env.models.codebook import Codebook, largest, perplexity

BOTH = pytest.mark.parametrize("l2", [True, False])


def build(l2: bool, n_codes: int = 12, dim: int = 4) -> Codebook:
    torch.manual_seed(0)
    book = Codebook(n_codes, dim, l2_normalise=l2)
    torch.nn.init.normal_(book.weight)
    return book


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@BOTH
def test_the_nearest_code_is_chosen(l2: bool) -> None:
    book, x = build(l2), torch.randn(7, 5, 4)
    out = book(x)
    table = F.normalize(book.weight, dim=-1) if l2 else book.weight
    inputs = F.normalize(x, dim=-1) if l2 else x
    assert torch.equal(out.codes, torch.cdist(inputs.flatten(0, 1), table).argmin(-1).view(7, 5))
    torch.testing.assert_close(out.vectors, table[out.codes])
    torch.testing.assert_close(book.lookup(out.codes), table[out.codes])
    half_squares = 0.5 * (inputs - table[out.codes]).square().mean(-1)
    torch.testing.assert_close(out.commitment, half_squares)
    torch.testing.assert_close(out.codebook, half_squares)


def test_gradients_pass_straight_through() -> None:
    book, x = build(l2=False), torch.randn(6, 4, requires_grad=True)
    weights = torch.randn(6, 4)
    (book(x).vectors * weights).sum().backward()
    assert torch.equal(x.grad, weights)
    assert book.weight.grad is None


def test_gradients_pass_through_the_projection_onto_the_sphere() -> None:
    book, x = build(l2=True), torch.randn(6, 4, requires_grad=True)
    weights = torch.randn(6, 4)
    (book(x).vectors * weights).sum().backward()
    expected = torch.autograd.grad((F.normalize(x, dim=-1) * weights).sum(), x)[0]
    torch.testing.assert_close(x.grad, expected)


@BOTH
def test_each_loss_moves_one_side_only(l2: bool) -> None:
    book, x = build(l2), torch.randn(6, 4, requires_grad=True)
    book(x).commitment.sum().backward()
    assert x.grad.abs().sum() > 0
    assert book.weight.grad is None
    x.grad = None
    out = book(x)
    out.codebook.sum().backward()
    assert x.grad is None
    used = book.weight.grad.abs().sum(-1) > 0
    assert used.nonzero()[:, 0].tolist() == sorted(set(out.codes.tolist()))


@BOTH
@torch.no_grad()
def test_autocast_changes_nothing(l2: bool) -> None:
    book, x = build(l2, n_codes=256), torch.randn(2000, 4)
    exact = book(x)
    with torch.autocast("cpu", torch.bfloat16):
        out = book(x)
        codes = book.nearest(book.normalise(x))
    assert torch.equal(codes, exact.codes)
    assert torch.equal(out.codes, exact.codes)
    assert out.vectors.dtype == torch.float32
    assert torch.equal(out.vectors, exact.vectors)


@BOTH
def test_initialise_puts_every_code_on_an_input(l2: bool) -> None:
    book, x = build(l2), 5 * torch.randn(40, 4)
    book.initialise(x, seeded())
    distance = torch.cdist(book.weight.detach(), book.normalise(x)).amin(1)
    assert (distance < 0.06).all()


def test_initialise_on_equal_inputs_makes_different_codes() -> None:
    book = build(l2=True)
    book.initialise(torch.ones(40, 4), seeded())
    assert len(torch.unique(book.weight.detach(), dim=0)) == 12


@BOTH
def test_dead_codes_move_onto_inputs_and_live_ones_stay(l2: bool) -> None:
    book, x = build(l2), torch.randn(40, 4)
    live = torch.tensor([0, 5, 7])
    for _ in range(200):
        book.track(live.repeat(4))
    before = book.weight.detach().clone()
    assert book.restart_dead(x, seeded()) == 9
    moved = (book.weight.detach() != before).any(-1)
    assert moved.logical_not().nonzero()[:, 0].tolist() == live.tolist()
    distance = torch.cdist(book.weight.detach()[moved], book.normalise(x)).amin(1)
    assert (distance < 0.06).all()
    assert book.restart_dead(x, seeded()) == 0  # they get time to be chosen


def test_usage_follows_the_codes() -> None:
    book = build(l2=True)
    codes: Tensor = torch.tensor([0, 0, 0, 1])
    for _ in range(400):
        book.track(codes)
    torch.testing.assert_close(book.usage.sum(), torch.tensor(1.0))
    torch.testing.assert_close(book.usage[:2], torch.tensor([0.75, 0.25]), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(torch.arange(8), 8.0), (torch.zeros(9, dtype=torch.int64), 1.0), (torch.tensor([0, 7]), 2.0)],
)
def test_perplexity_counts_the_codes_in_use(codes: Tensor, expected: float) -> None:
    assert float(perplexity(codes, 8)) == pytest.approx(expected, rel=1e-5)


class Largest(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return largest(x)


def test_exported_graphs_find_the_first_of_the_largest():
    x = torch.randint(5, (2, 3, 4, 7), generator=torch.Generator().manual_seed(0)).float()
    program = torch.export.export(Largest(), (x,)).module()
    assert torch.equal(program(x), x.argmax(-1))
    assert torch.equal(largest(x), x.argmax(-1))
