"""The MaskGit prior: what is masked, what counts, and how codes are drawn."""

import math

import pytest
import torch
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.models.maskgit import Maskgit
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.sampling import Sampling, draw

GRID, CODES, EMBED = 3, 6, 5
N = GRID * GRID
CONFIG = PriorConfig(dim=16, mlp_dim=24, heads=2, layers=2, vocab_dim=8)


class Scripted(Maskgit):
    """A prior that answers with given logits and notes what it was asked."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__(CONFIG, CODES, EMBED, GRID)
        self.answer = logits
        self.asked: list[Tensor] = []

    def forward(self, codes: Tensor, h: Tensor) -> Tensor:
        self.asked.append(codes.flatten(1).clone())
        return self.answer


def build() -> Maskgit:
    torch.manual_seed(0)
    prior = Maskgit(CONFIG, CODES, EMBED, GRID)
    torch.nn.init.normal_(prior.token)  # so that codes differ clearly
    return prior


def noise(batch: int, steps: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, steps, 2, N, generator=generator) * 0.999 + 0.0005


@torch.no_grad()
def test_logits_see_every_other_position_and_h() -> None:
    prior, h = build(), torch.randn(1, EMBED, GRID, GRID)
    codes = torch.zeros(1, GRID, GRID, dtype=torch.int64)
    base = prior(codes, h)
    assert base.shape == (1, N, CODES)
    far = codes.clone()
    far[0, 2, 2] = 1
    assert not torch.allclose(prior(far, h)[0, 0], base[0, 0])
    other_h = h.clone()
    other_h[..., 2, 2] += 1
    assert not torch.allclose(prior(codes, other_h)[0, 0], base[0, 0])


@pytest.mark.parametrize("r", [0.0, 0.3, 0.7, 0.999999])
@torch.no_grad()
def test_masks_follow_the_cosine_and_at_least_one(r: float) -> None:
    prior = Scripted(torch.randn(4, N, CODES))
    codes = torch.randint(CODES, (4, GRID, GRID))
    uniform = torch.rand(4, 1 + N)
    uniform[:, 0] = r
    _, count = prior.loss(codes, torch.zeros(4, EMBED, GRID, GRID), uniform)
    expected = max(1, math.floor(N * math.cos(math.pi / 2 * r)))
    assert count.tolist() == [expected] * 4
    masked = prior.asked[0] == CODES
    assert masked.sum(1).tolist() == [expected] * 4
    assert torch.equal(prior.asked[0][~masked], codes.flatten(1)[~masked])


@torch.no_grad()
def test_only_masked_positions_count() -> None:
    prior = Scripted(torch.randn(4, N, CODES))
    codes, h = torch.randint(CODES, (4, GRID, GRID)), torch.zeros(4, EMBED, GRID, GRID)
    total, _ = prior.loss(codes, h, torch.rand(4, 1 + N))
    masked = prior.asked[0] == CODES
    nats = -prior.answer.log_softmax(-1).gather(2, codes.flatten(1)[..., None])[..., 0]
    torch.testing.assert_close(total, (nats * masked).sum(1))


def test_masked_positions_are_spread_evenly() -> None:
    prior = Scripted(torch.zeros(3000, N, CODES))
    uniform = torch.rand(3000, 1 + N, generator=torch.Generator().manual_seed(0))
    codes = torch.zeros(3000, GRID, GRID, dtype=torch.int64)
    prior.loss(codes, torch.zeros(3000, EMBED, GRID, GRID), uniform)
    share = (prior.asked[0] == CODES).float().mean(0)
    assert (share - share.mean()).abs().max() < 0.05


@pytest.mark.parametrize("steps", range(1, N + 1))
@torch.no_grad()
def test_any_number_of_steps_fills_everything_on_the_cosine_schedule(steps: int) -> None:
    prior = Scripted(torch.randn(2, N, CODES))
    codes = prior.sample(torch.zeros(2, EMBED, GRID, GRID), noise(2, steps), Sampling(steps, 1.0))
    assert codes.shape == (2, GRID, GRID)
    assert int(codes.min()) >= 0
    assert int(codes.max()) < CODES
    left = [math.floor(N * math.cos(math.pi / 2 * s / steps)) for s in range(steps)]
    assert [(asked == CODES).sum(1).tolist() for asked in prior.asked] == [[n, n] for n in left]


@torch.no_grad()
def test_a_code_once_drawn_stays() -> None:
    prior = Scripted(torch.randn(2, N, CODES))
    h = torch.zeros(2, EMBED, GRID, GRID)
    result = prior.sample(h, noise(2, 4), Sampling(4, 1.0)).flatten(1)
    for asked in prior.asked:
        known = asked != CODES
        assert torch.equal(asked[known], result[known])


@torch.no_grad()
def test_the_most_confident_come_first() -> None:
    logits = torch.zeros(1, N, CODES)
    logits[0, :, 2] = torch.arange(N).float()  # ever surer along the grid
    prior = Scripted(logits)
    h = torch.zeros(1, EMBED, GRID, GRID)
    prior.sample(h, noise(1, 3), Sampling(3, 0.0))
    for asked in prior.asked:
        known = (asked[0] != CODES).long()
        assert (known.diff() >= 0).all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@torch.no_grad()
def test_a_sure_prior_is_followed(temperature: float) -> None:
    target = torch.randint(CODES, (2, GRID, GRID))
    prior = Scripted(60.0 * torch.nn.functional.one_hot(target.flatten(1), CODES).float())
    h = torch.zeros(2, EMBED, GRID, GRID)
    assert torch.equal(prior.sample(h, noise(2, 3), Sampling(3, temperature)), target)


@torch.no_grad()
def test_the_draw_is_a_function_of_its_noise() -> None:
    prior, h = build(), torch.randn(4, EMBED, GRID, GRID)

    def sample(seed: int, temperature: float) -> Tensor:
        return prior.sample(h, noise(4, 3, seed), Sampling(3, temperature))

    assert torch.equal(sample(0, 1.0), sample(0, 1.0))
    assert not torch.equal(sample(0, 1.0), sample(1, 1.0))
    assert torch.equal(sample(0, 0.0), sample(1, 0.0))


@torch.no_grad()
def test_rows_do_not_depend_on_their_neighbours() -> None:
    prior, h, u = build(), torch.randn(4, EMBED, GRID, GRID), noise(4, 3)
    all_rows = prior.sample(h, u, Sampling(3, 1.0))
    changed = h.clone()
    changed[1:] += 1
    assert torch.equal(prior.sample(changed, u, Sampling(3, 1.0))[0], all_rows[0])


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_have_the_frequencies_of_the_softmax(temperature: float) -> None:
    logits, count = torch.tensor([0.3, -1.0, 2.0, 0.0]), 20_000
    uniform = (torch.arange(count) + 0.5)[None] / count
    codes, logprob = draw(logits.expand(1, count, 4), uniform, Sampling(1, temperature))
    share = torch.bincount(codes[0], minlength=4) / count
    torch.testing.assert_close(share, (logits / temperature).softmax(0), atol=2e-4, rtol=0)
    torch.testing.assert_close(logprob[0], logits.log_softmax(0)[codes[0]])


def test_impossible_codes_are_never_drawn() -> None:
    logits = torch.tensor([-200.0, 0.0, -200.0, 0.0, -200.0])
    uniform = torch.tensor([[2.0**-24, 0.4, 0.6, 1 - 2.0**-24]])
    codes, _ = draw(logits.expand(1, 4, 5), uniform, Sampling(1, 1.0))
    assert set(codes[0].tolist()) == {1, 3}


@pytest.mark.parametrize("steps", [1, 2, 4, 9])
@torch.no_grad()
def test_a_random_draft_fixes_equal_groups_each_once(steps: int) -> None:
    prior = Scripted(torch.randn(2, N, CODES))
    h = torch.zeros(2, EMBED, GRID, GRID)
    result = prior.sample(h, noise(2, steps), Sampling(steps, order="random")).flatten(1)
    left = torch.stack([(asked == CODES).sum(1) for asked in prior.asked])
    sizes = -torch.cat([left, torch.zeros(1, 2, dtype=left.dtype)]).diff(dim=0)
    assert left[0].tolist() == [N, N]
    assert int(sizes.max() - sizes.min()) <= 1
    for asked in prior.asked:  # what is fixed stays
        known = asked != CODES
        assert torch.equal(asked[known], result[known])


@torch.no_grad()
def test_a_revision_draws_every_code_once_given_all_others() -> None:
    how = Sampling(3, order="random", revisions=2)
    prior = Scripted(torch.randn(2, N, CODES))
    h = torch.zeros(2, EMBED, GRID, GRID)
    result = prior.sample(h, noise(2, how.passes), how).flatten(1)
    assert len(prior.asked) == how.passes == 9
    assert int(result.max()) < CODES
    for revision in (prior.asked[3:6], prior.asked[6:9]):
        masked = torch.stack([asked == CODES for asked in revision])
        assert torch.equal(masked.sum(0), torch.ones(2, N, dtype=torch.int64))
        assert masked.sum(2).tolist() == [[3, 3]] * 3
    partitions = [torch.stack([a == CODES for a in prior.asked[i : i + 3]]) for i in (3, 6)]
    assert not torch.equal(partitions[0], partitions[1])
    assert not torch.equal(partitions[0][:, 0], partitions[0][:, 1])  # rows have their own


@torch.no_grad()
def test_revisions_correct_what_the_draft_got_wrong() -> None:
    """Of a prior that knows only once it sees the rest: the draft is blind, revisions are not."""
    target = torch.arange(N)[None] % CODES

    class Late(Scripted):
        def forward(self, codes: Tensor, h: Tensor) -> Tensor:
            super().forward(codes, h)
            sure = 60.0 * torch.nn.functional.one_hot(target, CODES).float()
            blind = (codes.flatten(1) == CODES).sum(1, keepdim=True)[..., None] > N // 3
            return torch.where(blind, torch.zeros_like(sure), sure)

    prior, h = Late(torch.empty(0)), torch.zeros(1, EMBED, GRID, GRID)
    draft = prior.sample(h, noise(1, 3), Sampling(3, order="random")).flatten(1)
    revised = prior.sample(h, noise(1, 6), Sampling(3, order="random", revisions=1)).flatten(1)
    assert not torch.equal(draft, target)
    assert torch.equal(revised, target)


def test_top_k_leaves_the_least_likely_out_and_keeps_the_proportions() -> None:
    logits, count = torch.tensor([0.3, -1.0, 2.0, 0.0]), 20_000
    uniform = (torch.arange(count) + 0.5)[None] / count
    codes, _ = draw(logits.expand(1, count, 4), uniform, Sampling(1, 1.0, top_k=2))
    share = torch.bincount(codes[0], minlength=4) / count
    expected = torch.tensor([0.3, -math.inf, 2.0, -math.inf]).softmax(0)
    torch.testing.assert_close(share, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": -1}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"temperature": math.nan}, "temperature"),
        ({"order": "best"}, "order"),
        ({"revisions": -1}, "revisions"),
        ({"steps": 0, "revisions": 1}, "revisions"),
        ({"share": 0}, "share is 0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"share": "half"}, "share is .half"),
        ({"still": 1}, "still is 1"),
        ({"still": "little"}, "still is .little"),
        ({"top_k": -5}, "top_k"),
    ],
)
def test_sampling_refuses_what_it_cannot_do(options: dict, named: str) -> None:
    with pytest.raises(InputError, match=named):
        Sampling(**options)
