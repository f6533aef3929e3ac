"""Every memory: the recurrent equation, any cutting into chunks, float32 inside, rows alone."""

from typing import get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.models.mixers import associative
from worldmodel_env.models.mixers.associative import chunked, recurrent
from worldmodel_env.models.mixers.memory import Memory, Rule
from worldmodel_env.models.mixers.short_conv import ShortConv

DIM, HEADS, TOKENS, FRAMES, BATCH = 32, 2, 3, 45, 2
RULES = pytest.mark.parametrize("rule", get_args(Rule))


def build(rule: Rule) -> Memory:
    torch.manual_seed(0)
    memory = Memory(rule, DIM, HEADS, TOKENS, forgetting=rule.startswith("ttt"))
    with torch.no_grad():
        memory.alpha.fill_(2.0)
        memory.conv.weight.normal_()
    return memory


def begin(memory: Memory, batch: int = BATCH) -> Tensor:
    return torch.zeros(batch, HEADS, memory.rows, DIM // HEADS)


def frames() -> Tensor:
    return torch.randn(BATCH, FRAMES, TOKENS, DIM, generator=torch.Generator().manual_seed(1))


def run(memory: Memory, x: Tensor, sizes: int | list[int]) -> tuple[Tensor, Tensor]:
    state, out = begin(memory, len(x)), []
    for part in x.split(sizes, 1):
        y, state = memory(part, state)
        out.append(y)
    return torch.cat(out, 1), state


@RULES
@pytest.mark.parametrize("sizes", [1, 2, 7, [20, 1, 1, 23], [1, 44], [30, 15]], ids=str)
@torch.no_grad()
def test_any_cutting_gives_the_same(rule: Rule, sizes: int | list[int]) -> None:
    memory, x = build(rule), frames()
    whole, last = run(memory, x, FRAMES)
    y, state = run(memory, x, sizes)
    assert (whole - x).abs().max() > 0.1  # the memory says something
    torch.testing.assert_close(y, whole, atol=1e-4, rtol=0)
    torch.testing.assert_close(state, last, atol=1e-4, rtol=1e-4)


@RULES
@torch.no_grad()
def test_a_later_frame_never_moves_an_earlier_output(rule: Rule) -> None:
    memory, x = build(rule), frames()
    other = x.clone()
    other[:, 20] = -other[:, 20]
    (before, _), (after, _) = run(memory, x, FRAMES), run(memory, other, FRAMES)
    torch.testing.assert_close(before[:, :20], after[:, :20], atol=1e-5, rtol=0)
    assert (before[:, 20:] - after[:, 20:]).abs().amax((0, 2, 3)).min() > 1e-5


@RULES
@torch.no_grad()
def test_a_row_does_not_know_its_neighbours(rule: Rule) -> None:
    memory, x = build(rule), frames()
    both, _ = run(memory, x, 1)
    alone, _ = run(memory, x[1:], 1)
    torch.testing.assert_close(both[1:], alone, atol=1e-5, rtol=0)


@RULES
def test_in_half_precision_the_state_is_float32_and_computed_so(rule: Rule) -> None:
    memory, x = build(rule), frames()
    with torch.no_grad():
        exact, last = run(memory, x, 9)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = run(memory, x, 9)
    assert state.dtype == torch.float32
    assert (y - exact).norm() < 0.02 * exact.norm()
    assert (state - last).norm() < 0.03 * last.norm()
    y.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in memory.parameters())
    lowered, small = memory.bfloat16(), x.bfloat16()
    y, state = run(lowered, small, 1)
    assert (y.dtype, state.dtype) == (torch.bfloat16, torch.float32)
    # Not what a state kept in bfloat16 would be, all of whose numbers end in zeros.
    assert (
        state[:, :, : memory.mixer.rows].bfloat16().float() != state[:, :, : memory.mixer.rows]
    ).any()


@RULES
def test_gradients_of_the_two_forms_agree(rule: Rule) -> None:
    memory, x = build(rule), frames()[:, :12]
    gradients = []
    for sizes in (12, 1):
        y, state = run(memory, x, sizes)
        loss = y.square().sum() + state.square().sum()
        gradients.append(torch.autograd.grad(loss, list(memory.parameters())))
    for name, one, other in zip(dict(memory.named_parameters()), *gradients, strict=True):
        assert other.any(), name
        torch.testing.assert_close(
            one, other, atol=1e-3 * float(other.abs().max()), rtol=1e-3, msg=name
        )


@pytest.mark.parametrize("erase", [False, True])
@pytest.mark.parametrize("tokens", [1, 64, 65, 150])
def test_chunks_equal_the_recurrence_in_float64(erase: bool, tokens: int) -> None:
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(2, 3, *shape, generator=generator, dtype=torch.float64)

    q, k, v = random(tokens, 8), F.normalize(random(tokens, 8), dim=-1), random(tokens, 5)
    rate, decay = random(tokens).sigmoid(), -random(tokens).exp()
    decay[..., ::9] = -200.0  # forgets all, which a quotient of products could not express
    state = random(8, 5)
    for ours, theirs in zip(
        chunked(q, k, v, rate, decay, state, erase=erase),
        recurrent(q, k, v, rate, decay, state, erase=erase),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_the_delta_rule_replaces_what_a_key_held() -> None:
    key, decay = F.normalize(torch.randn(1, 1, 1, 8), dim=-1), torch.zeros(1, 1, 2)
    values = torch.randn(1, 1, 2, 4)
    for erase, expected in ((True, values[:, :, 1:]), (False, values.sum(2, keepdim=True))):
        _, state = recurrent(
            key.expand(-1, -1, 2, -1), key.expand(-1, -1, 2, -1), values, torch.ones(1, 1, 2),
            decay, torch.zeros(1, 1, 8, 4), erase=erase,
        )  # fmt: skip
        torch.testing.assert_close(key @ state, expected)


def test_the_chunk_is_not_part_of_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, x = build("gated_delta"), frames()
    before, _ = run(memory, x, FRAMES)
    monkeypatch.setattr(associative, "CHUNK", 11)
    torch.testing.assert_close(run(memory, x, FRAMES)[0], before, atol=1e-5, rtol=0)


def test_the_short_convolution_is_one() -> None:
    conv, x = ShortConv(DIM), frames()
    y, _ = conv(x, torch.zeros(BATCH, 3, TOKENS, DIM))
    assert torch.equal(y, x)  # at first
    torch.nn.init.normal_(conv.weight)
    past = torch.randn(BATCH, 3, TOKENS, DIM)
    y, _ = conv(x, past)
    places = torch.cat([past, x], 1).permute(0, 2, 3, 1).flatten(0, 1)  # (B*S, D, T)
    expected = F.conv1d(places, conv.weight.T.flip(1)[:, None], groups=DIM)
    expected = expected.unflatten(0, (BATCH, TOKENS)).permute(0, 3, 1, 2)
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)


@RULES
@torch.no_grad()
def test_a_closed_gate_leaves_everything_alone(rule: Rule) -> None:
    memory, x = build(rule), frames()
    memory.alpha.zero_()
    assert torch.equal(run(memory, x, FRAMES)[0], x)
