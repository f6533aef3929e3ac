"""Probabilities of a prior's draws, and few passes that learn from many."""

import itertools
from copy import deepcopy

import pytest
import torch
from torch import Tensor

from worldmodel_env.models.maskgit import Maskgit
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.training.distillation import distillation_loss

CODES, GRID, CONTEXTS = 3, 2, 6
EVERY = torch.tensor(list(itertools.product(range(CODES), repeat=4))).view(-1, GRID, GRID)
MANY = Sampling(4, order="random")  # code by code: exactly what the prior has learned


def context() -> Tensor:
    return torch.randn(CONTEXTS, 4, GRID, GRID, generator=torch.Generator().manual_seed(5))


def build() -> Maskgit:
    torch.manual_seed(0)
    prior = Maskgit(PriorConfig(32, 64, 2, 1, vocab_dim=16), CODES, 4, GRID)
    torch.nn.init.normal_(prior.token)  # fresh vectors are too small to tell codes apart
    return prior


def probabilities(prior: Maskgit, h: Tensor, sampling: Sampling, noise: Tensor) -> Tensor:
    """Of every frame (81,), in the order that `noise` (1, passes, 2, 4) decides."""
    n = len(EVERY)
    shape = (n, *noise.shape[1:])
    return prior.log_prob(EVERY, h.expand(n, -1, -1, -1), noise.expand(shape), sampling).exp()


@pytest.mark.parametrize("steps", [1, 2, 4])
@torch.no_grad()
def test_probabilities_are_those_of_the_draws(steps: int) -> None:
    prior, h = build(), context()[:1]
    sampling = Sampling(steps, temperature=0.7, order="random")
    order = torch.rand(1, steps, 2, 4, generator=torch.Generator().manual_seed(1))
    expected = probabilities(prior, h, sampling, order)
    assert expected.sum().item() == pytest.approx(1, abs=1e-5)
    count = 20_000
    noise = torch.rand(count, steps, 2, 4, generator=torch.Generator().manual_seed(2))
    noise[:, :, 1] = order[:, :, 1]  # the same groups, other draws
    drawn = prior.sample(h.expand(count, -1, -1, -1), noise, sampling).flatten(1)
    index = (drawn * torch.tensor([27, 9, 3, 1])).sum(1)
    found = torch.bincount(index, minlength=81) / count
    assert (found - expected).abs().max() < 0.015


@torch.no_grad()
def test_the_surest_first_fixes_every_code_once() -> None:
    prior, h = build(), context()
    codes = torch.randint(CODES, (CONTEXTS, GRID, GRID))
    noise = torch.rand(CONTEXTS, 4, 2, 4)
    total = prior.log_prob(codes, h, noise, Sampling(4))
    assert torch.isfinite(total).all()
    assert (total < 0).all()
    # In one pass there is no order.
    once = [prior.log_prob(codes, h, noise, Sampling(1, order=o)) for o in ("confidence", "random")]
    torch.testing.assert_close(*once)


def trained() -> Maskgit:
    """A prior of frames whose codes go together, one of two patterns for each context."""
    prior, generator = build(), torch.Generator().manual_seed(3)
    patterns = torch.randint(CODES, (CONTEXTS, 2, GRID, GRID), generator=generator)
    optimizer = torch.optim.AdamW(prior.parameters(), lr=5e-3)
    for _ in range(80):
        which = torch.randint(2, (CONTEXTS, 8), generator=generator)
        codes = patterns.gather(1, which[..., None, None].expand(-1, -1, GRID, GRID)).flatten(0, 1)
        h = context().repeat_interleave(8, 0)
        loss, _ = prior.loss(codes, h, torch.rand(len(h), 5, generator=generator))
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return prior.requires_grad_(False)


@torch.no_grad()
def divergence(teacher: Maskgit, student: Maskgit, few: Sampling) -> float:
    """KL of the teacher's draws in many passes from the student's in few, mean over contexts."""
    total, generator = 0.0, torch.Generator().manual_seed(4)
    for h in context().split(1):
        orders = torch.rand(16, 1, 4, 2, 4, generator=generator)
        ours = torch.stack([probabilities(student, h, few, o) for o in orders]).mean(0)
        many = torch.stack([probabilities(teacher, h, MANY, o) for o in orders]).mean(0)
        total += float((many * (many.clamp_min(1e-9) / ours.clamp_min(1e-9)).log()).sum())
    return total / CONTEXTS


@pytest.mark.parametrize("few", [Sampling(2), Sampling(1)], ids=["two", "one"])
def test_few_passes_come_nearer_to_many(few: Sampling) -> None:
    teacher = trained()
    student = deepcopy(teacher).requires_grad_(True)
    before = divergence(teacher, student, few)
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    generator, h = torch.Generator().manual_seed(6), context().repeat_interleave(8, 0)
    losses = []
    for _ in range(40):
        loss = distillation_loss(student, teacher, h, few, MANY, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = divergence(teacher, student, few)
    assert after < 0.9 * before
    assert sum(losses[-10:]) < sum(losses[:10])


def test_the_gradient_reaches_the_student_alone() -> None:
    teacher, student = build(), build()
    h = context().requires_grad_(True)
    generator = torch.Generator().manual_seed(0)
    distillation_loss(student, teacher, h, Sampling(2), MANY, generator).backward()
    assert h.grad is None
    assert all(p.grad is None for p in teacher.parameters())
    assert student.bias.grad.any()
