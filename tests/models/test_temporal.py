"""The temporal transformer: parallel equals recurrent, causal, windowed, relative in time."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from worldmodel_env.models.mixers.state import is_ring
from worldmodel_env.models.positions import rotate, sinusoids
from worldmodel_env.models.temporal import State, TemporalConfig, TemporalTransformer

TOKENS, FRAMES, WINDOW, LAYERS = 3, 11, 4, 2
REACH = LAYERS * (WINDOW - 1)  # how many frames back an output depends on
CONFIG = TemporalConfig(dim=16, mlp_dim=24, heads=2, layers=LAYERS, window=WINDOW)
BOTH = pytest.mark.parametrize("positions", ["window", "absolute"])


def build(positions: str) -> TemporalTransformer:
    torch.manual_seed(0)
    return TemporalTransformer(replace(CONFIG, positions=positions), TOKENS)


def frames(batch: int = 2, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, FRAMES, TOKENS, CONFIG.dim, generator=generator)


def run(model: TemporalTransformer, x: Tensor) -> tuple[Tensor, State]:
    """All of `x` frame by frame: outputs and the last state."""
    state = model.begin(len(x), x)
    out = []
    for t in range(x.shape[1]):
        y, state = model.step(x[:, t], state)
        out.append(y)
    return torch.stack(out, 1), state


@BOTH
@torch.no_grad()
def test_recurrent_equals_parallel_beyond_the_window(positions: str) -> None:
    model, x = build(positions), frames()
    assert FRAMES > 2 * WINDOW  # the ring has wrapped twice
    torch.testing.assert_close(run(model, x)[0], model(x), atol=2e-6, rtol=1e-5)


@BOTH
@torch.no_grad()
def test_rows_may_be_at_different_times(positions: str) -> None:
    model, x = build(positions), frames()
    early, late = 1, 6
    _, young = run(model, x[:1, :early])
    _, old = run(model, x[1:, :late])
    state = {name: torch.cat([young[name], old[name]]) for name in young}
    for k in range(3):
        now = torch.stack([x[0, early + k], x[1, late + k]])
        y, state = model.step(now, state)
        torch.testing.assert_close(y[0], model(x[:1])[0, early + k], atol=2e-6, rtol=1e-5)
        torch.testing.assert_close(y[1], model(x[1:])[0, late + k], atol=2e-6, rtol=1e-5)


@BOTH
@torch.no_grad()
def test_what_an_old_row_left_in_the_ring_is_not_seen(positions: str) -> None:
    model, x = build(positions), frames()
    state = model.begin(2, x)
    clean, _ = model.step(x[:, 0], state)
    full = {name: torch.full_like(state[name], 1e3) for name in filter(is_ring, state)}
    rubbish, _ = model.step(x[:, 0], {**state, **full})
    assert torch.equal(clean, rubbish)


@BOTH
@torch.no_grad()
def test_a_later_frame_never_moves_an_earlier_output(positions: str) -> None:
    model, x = build(positions), frames()
    other = x.clone()
    other[:, 6] += 1
    before, after = model(x), model(other)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.allclose(before[:, 6], after[:, 6])


@BOTH
@torch.no_grad()
def test_a_frame_out_of_reach_has_no_effect_and_one_inside_has(positions: str) -> None:
    model, x = build(positions), frames()
    other = x.clone()
    other[:, 0] += 1
    difference = (model(x) - model(other)).abs().amax((0, 2, 3))
    assert (difference[: REACH + 1] > 1e-6).all()
    assert (difference[REACH + 1 :] == 0).all()


@torch.no_grad()
def test_tokens_of_a_frame_see_each_other() -> None:
    model, x = build("window"), frames()
    other = x.clone()
    other[:, 4, 2] += 1
    assert not torch.allclose(model(x)[:, 4, 0], model(other)[:, 4, 0])


@torch.no_grad()
def test_window_positions_know_no_absolute_time() -> None:
    model, x = build("window"), frames()
    late = x[:, FRAMES - REACH - 1 :]
    torch.testing.assert_close(model(x)[:, -1], model(late)[:, -1], atol=2e-6, rtol=1e-5)
    _, state = run(model, x[:, :8])
    now, _ = model.step(x[:, 8], state)
    much_later, _ = model.step(x[:, 8], {**state, "index": state["index"] + 1000 * WINDOW})
    assert torch.equal(now, much_later)


@torch.no_grad()
def test_absolute_positions_do() -> None:
    model, x = build("absolute"), frames()
    late = x[:, FRAMES - REACH - 1 :]
    assert not torch.allclose(model(x)[:, -1], model(late)[:, -1], atol=1e-3)


@torch.no_grad()
def test_the_cache_does_not_grow_and_step_leaves_its_input_alone() -> None:
    model, x = build("window"), frames()
    state = model.begin(2, x)
    assert set(state) == {"keys_0", "values_0", "keys_1", "values_1", "index"}
    assert state["keys_1"].shape == state["values_0"].shape == (2, 2, WINDOW, TOKENS, 8)
    before = {name: tensor.clone() for name, tensor in state.items()}
    _, after = model.step(x[:, 0], state)
    assert {name: x.shape for name, x in after.items()} == {
        name: x.shape for name, x in state.items()
    }
    assert all(torch.equal(state[name], before[name]) for name in state)


def test_rotated_scores_depend_on_differences_of_positions() -> None:
    q, k = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    at, key_at = torch.arange(5), torch.tensor([3, 1, 4, 1, 5])

    def scores(shift: int) -> Tensor:
        return rotate(q, at + shift) @ rotate(k, key_at + shift).transpose(1, 2)

    torch.testing.assert_close(scores(0), scores(17), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(scores(0), rotate(q, at) @ rotate(k, key_at + 1).transpose(1, 2))
    torch.testing.assert_close(rotate(q, at).norm(dim=-1), q.norm(dim=-1))


def test_sinusoids_are_sines_beside_cosines() -> None:
    table = sinusoids(torch.tensor([0, 3]), 4)
    assert table[0].tolist() == [0, 0, 1, 1]
    angles = torch.tensor([3.0, 3.0 / 100])
    torch.testing.assert_close(table[1], torch.cat([angles.sin(), angles.cos()]))
