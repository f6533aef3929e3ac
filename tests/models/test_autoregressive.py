"""The autoregressive prior: causality, loss, and sampling by the chain rule."""

import torch

from worldmodel_env.models.autoregressive import Autoregressive
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.sampling import Sampling

GRID, CODES, EMBED = 3, 6, 5
N = GRID * GRID


def build() -> Autoregressive:
    torch.manual_seed(0)
    config = PriorConfig(16, 24, 2, 2, vocab_dim=8, kind="autoregressive")
    prior = Autoregressive(config, CODES, EMBED, GRID)
    torch.nn.init.normal_(prior.token)
    return prior


@torch.no_grad()
def test_a_code_reaches_only_later_positions() -> None:
    prior, h = build(), torch.randn(1, EMBED, GRID, GRID)
    codes = torch.zeros(1, GRID, GRID, dtype=torch.int64)
    base = prior(codes, h)
    for place in range(N):
        other = codes.flatten().clone()
        other[place] = 1
        changed = (prior(other.view(1, GRID, GRID), h) != base).any(-1)[0]
        assert changed.tolist() == [i > place for i in range(N)]


@torch.no_grad()
def test_loss_is_the_chain_rule() -> None:
    prior, h = build(), torch.randn(2, EMBED, GRID, GRID)
    codes = torch.randint(CODES, (2, GRID, GRID))
    total, count = prior.loss(codes, h, torch.empty(2, 0))
    logprob = prior(codes, h).log_softmax(-1).gather(2, codes.flatten(1)[..., None])
    torch.testing.assert_close(total, -logprob.sum((1, 2)))
    assert count.tolist() == [N, N]


@torch.no_grad()
def test_every_drawn_code_is_the_inverse_cdf_of_its_conditional() -> None:
    prior, h = build(), torch.randn(4, EMBED, GRID, GRID)
    uniform = torch.rand(4, N, 2, N, generator=torch.Generator().manual_seed(0))
    codes = prior.sample(h, uniform, Sampling(1, 0.7)).flatten(1)
    cdf = (prior(codes.view(-1, GRID, GRID), h) / 0.7).softmax(-1).cumsum(-1)
    for place in range(N):
        u = uniform[:, place, 0, place]
        code = codes[:, place : place + 1]
        above = cdf[:, place].gather(1, code)[:, 0]
        below = (
            above
            - (prior(codes.view(-1, GRID, GRID), h) / 0.7)
            .softmax(-1)[:, place]
            .gather(1, code)[:, 0]
        )
        assert (u <= above + 1e-5).all()
        assert (u >= below - 1e-5).all()


@torch.no_grad()
def test_temperature_zero_takes_the_likeliest_and_ignores_noise() -> None:
    prior, h = build(), torch.randn(2, EMBED, GRID, GRID)
    noise = [torch.rand(2, N, 2, N) for _ in range(2)]
    first, second = (prior.sample(h, u, Sampling(1, 0.0)) for u in noise)
    assert torch.equal(first, second)
    assert torch.equal(prior(first, h).argmax(-1), first.flatten(1))
