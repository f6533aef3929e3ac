"""The baselines as models: what they take and give, that they learn, that they only look back."""

from dataclasses import replace

import pytest
import torch
from nano import SPACES
from torch import Tensor

from worldmodel_env.models.actions import ActionConfig, ActionEmbedding
from worldmodel_env.models.baselines.codes import CodeSpace, normal
from worldmodel_env.models.baselines.recurrent_latent import RecurrentLatent, divergence
from worldmodel_env.training.baseline import make_baseline
from worldmodel_env.training.suites import load_suite

GRID, CODES = 4, 16
NAMES = ("recurrent_latent", "space_time", "latent_diffusion")
EACH = pytest.mark.parametrize("name", NAMES)


def build(name: str, kind: str = "discrete", seed: int = 0) -> torch.nn.Module:
    entry = load_suite("nano").entries[name]
    space = CodeSpace(GRID, CODES, 6, ActionConfig.of(SPACES[kind]))
    torch.manual_seed(seed)
    model = make_baseline(replace(entry.config, space=space))
    vectors = torch.randn(CODES, 6, generator=torch.Generator().manual_seed(1))
    model.code_vectors.copy_(torch.nn.functional.normalize(vectors, dim=-1))
    return model


def shifting(batch: int, frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Grids of one code, but for a stripe that an action moves left, right, or not at all."""
    generator = torch.Generator().manual_seed(seed)
    actions = torch.randint(3, (batch, frames - 1), generator=generator)
    films = []
    for moves in actions:
        code, column = torch.randint(1, GRID, (2,), generator=generator).tolist()
        film = [torch.where(torch.arange(GRID) == column, code, 0).expand(GRID, GRID)]
        for move in moves.tolist():
            film.append(film[-1].roll((-1, 0, 1)[move], 1))
        films.append(torch.stack(film))
    return torch.stack(films), actions


def loss(model: torch.nn.Module, codes: Tensor, actions: Tensor, seed: int = 0) -> Tensor:
    valid = torch.ones(codes.shape[:2], dtype=torch.bool)
    return model.loss(codes, actions, valid, torch.Generator().manual_seed(seed))["loss"]


@EACH
@pytest.mark.parametrize("kind", list(SPACES))
def test_any_action_space_goes_in_and_codes_come_out(name: str, kind: str) -> None:
    model = build(name, kind)
    embedding = ActionEmbedding(ActionConfig.of(SPACES[kind]), 4)
    codes = torch.randint(CODES, (2, 7, GRID, GRID))
    actions = embedding.zeros(2, 6, device=codes.device)
    terms = model.loss(
        codes, actions, torch.ones(2, 7, dtype=torch.bool), torch.Generator().manual_seed(0)
    )
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
    terms["loss"].backward()
    assert all(p.grad is not None for p in model.parameters() if p is not model.action.null)
    state = model.begin(codes[:, 0])
    for t in range(1, 6):  # more frames than any window holds
        state = model.observe(state, codes[:, t], actions[:, t - 1])
    with torch.no_grad():
        state, drawn = model.imagine(state, actions[:, 5], torch.rand(2, model.noise))
    assert drawn.shape == (2, GRID, GRID)
    assert drawn.dtype == torch.int64
    assert 0 <= int(drawn.min()) <= int(drawn.max()) < CODES
    assert all(len(part) == 2 for part in state.values())


@EACH
def test_the_same_noise_draws_the_same_frames_whatever_the_other_rows_are(name: str) -> None:
    model = build(name)
    codes, actions = shifting(3, 6, seed=2)
    noise = torch.rand(3, 4, model.noise, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def roll(rows: slice, noise: Tensor) -> Tensor:
        state, film = model.begin(codes[rows, 0]), []
        for t in range(4):
            state, drawn = model.imagine(state, actions[rows, t], noise[rows, t])
            film.append(drawn)
        return torch.stack(film, 1)

    whole = roll(slice(None), noise)
    assert torch.equal(whole, roll(slice(None), noise))
    assert torch.equal(whole[1:2], roll(slice(1, 2), noise))
    assert not torch.equal(whole, roll(slice(None), 1 - noise))


@EACH
def test_padding_changes_nothing(name: str) -> None:
    model = build(name)
    codes, actions = shifting(2, 10, seed=3)
    valid = torch.arange(10) < torch.tensor([[10], [6]])

    def masked(seed: int) -> Tensor:
        rubbish = torch.randint(CODES, codes.shape, generator=torch.Generator().manual_seed(seed))
        shown = torch.where(valid[..., None, None], codes, rubbish)
        return model.loss(shown, actions, valid, torch.Generator().manual_seed(0))["loss"]

    assert torch.allclose(masked(1), masked(2), atol=1e-6)


@EACH
def test_the_loss_falls_and_the_action_is_heeded(name: str) -> None:
    torch.set_num_threads(1)
    model = build(name)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    before = torch.stack([loss(model, *shifting(8, 10, seed=9), seed=s) for s in range(4)]).mean()
    for step in range(120):
        optimizer.zero_grad()
        loss(model, *shifting(8, 10, seed=100 + step), seed=step).backward()
        optimizer.step()
    codes, actions = shifting(8, 10, seed=9)
    with torch.no_grad():
        after = torch.stack([loss(model, codes, actions, seed=s) for s in range(4)]).mean()
        mixed = torch.stack(
            [loss(model, codes, (actions + 1) % 3, seed=s) for s in range(4)]
        ).mean()
    assert after < 0.7 * before
    assert after < mixed


def test_a_code_of_the_space_time_transformer_is_drawn_as_it_was_learned() -> None:
    """One code after the other, with what was computed before kept, gives training's numbers."""
    model = build("space_time").eval()
    codes, actions = shifting(2, model.cfg.window, seed=4)
    valid = torch.ones(codes.shape[:2], dtype=torch.bool)
    logits: list[Tensor] = []
    model.head.register_forward_hook(lambda *call: logits.append(call[-1]))
    with torch.no_grad():
        state = model.begin(codes[:, 0])
        for t in range(1, model.cfg.window - 1):
            state = model.observe(state, codes[:, t], actions[:, t - 1])
        _, drawn = model.imagine(state, actions[:, -1], torch.rand(2, model.noise))
        stepwise = torch.cat(logits, 1)
        logits.clear()
        film = torch.cat([codes[:, :-1], drawn[:, None]], 1)
        model.loss(film, actions, valid, torch.Generator().manual_seed(0))
    assert torch.allclose(stepwise, logits[0][:, -model.noise :], atol=1e-5)


def test_diffusion_forgets_what_lies_before_its_window() -> None:
    model = build("latent_diffusion")
    codes, actions = shifting(2, 8, seed=5)

    def last(first: int) -> dict[str, Tensor]:
        state = model.begin(codes[:, first])
        for t in range(first + 1, 8):
            state = model.observe(state, codes[:, t], actions[:, t - 1])
        return state

    assert all(torch.equal(a, b) for a, b in zip(last(0).values(), last(3).values(), strict=True))


def test_the_recurrent_model_remembers_beyond_any_window() -> None:
    model = build("recurrent_latent")
    assert isinstance(model, RecurrentLatent)
    codes, actions = shifting(1, 12, seed=6)
    other = codes.clone()
    other[:, 0] = (other[:, 0] + 1) % CODES

    @torch.no_grad()
    def last(film: Tensor) -> Tensor:
        state = model.begin(film[:, 0])
        for t in range(1, 12):
            state = model.observe(state, film[:, t], actions[:, t - 1])
        return state["h"]

    assert not torch.allclose(last(codes), last(other), atol=1e-7)


def test_divergence_is_that_of_torch() -> None:
    p, q = torch.randn(2, 3, 8, 2, 2).clamp(-2, 1.9)

    def distribution(x: Tensor) -> torch.distributions.Normal:
        mean, log_std = x.chunk(2, -3)
        return torch.distributions.Normal(mean, log_std.exp())

    expected = torch.distributions.kl_divergence(distribution(p), distribution(q)).sum((1, 2, 3))
    assert torch.allclose(divergence(p, q), expected, atol=1e-4)
    assert torch.allclose(divergence(p, p), torch.zeros(3), atol=1e-5)


def test_normal_numbers_are_finite_and_normal() -> None:
    edge = normal(torch.tensor([2.0**-24, 1 - 2.0**-24]))
    assert edge.isfinite().all()
    many = normal(torch.rand(20_000, generator=torch.Generator().manual_seed(0)).clamp_min(1e-7))
    assert abs(float(many.mean())) < 0.03
    assert abs(float(many.std()) - 1) < 0.03
