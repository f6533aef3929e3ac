"""The kernels of flash-linear-attention: what they are handed, and on a GPU what they give."""

import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from worldmodel_env.models.mixers import associative, kernels

BATCH, HEADS, TOKENS, KEY, VALUE = 2, 3, 70, 16, 8
ERASE = pytest.mark.parametrize("erase", [True, False])


def inputs(device: str = "cpu") -> list[Tensor]:
    """q, k, v, rate, decay and state, of which every number matters."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(BATCH, HEADS, *shape, generator=generator)

    q, k = (torch.nn.functional.normalize(normal(TOKENS, KEY), dim=-1) for _ in range(2))
    drawn = (q, k, normal(TOKENS, VALUE), normal(TOKENS).sigmoid(), -0.1 * normal(TOKENS).exp())
    return [x.to(device).requires_grad_() for x in (*drawn, normal(KEY, VALUE))]


def as_documented(
    q: Tensor, k: Tensor, v: Tensor, g: Tensor, scale: float, initial_state: Tensor,
    output_final_state: bool, beta: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Tokens before heads, (B, T, H, D); beta only with the delta rule. Token by token."""
    assert output_final_state
    assert all(x.is_contiguous() for x in (q, k, v, g))
    state, read = initial_state, []
    for t in range(q.shape[1]):
        state = state * g[:, t].exp()[..., None, None]
        new = v[:, t]
        if beta is not None:
            new = beta[:, t, :, None] * (new - torch.einsum("bhk,bhkv->bhv", k[:, t], state))
        state = state + torch.einsum("bhk,bhv->bhkv", k[:, t], new)
        read.append(scale * torch.einsum("bhk,bhkv->bhv", q[:, t], state))
    return torch.stack(read, 1), state


@ERASE
def test_kernels_are_handed_the_same_question(erase: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fla", "fla.ops", "fla.ops.gated_delta_rule", "fla.ops.simple_gla"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    delta, write = sys.modules["fla.ops.gated_delta_rule"], sys.modules["fla.ops.simple_gla"]
    delta.chunk_gated_delta_rule = as_documented  # type: ignore[attr-defined]
    write.chunk_simple_gla = as_documented  # type: ignore[attr-defined]
    given = kernels.chunked(*inputs(), erase=erase)
    torch.testing.assert_close(given, associative.recurrent(*inputs(), erase=erase))
    monkeypatch.setattr(kernels, "usable", lambda k: True)
    assert torch.equal(associative.chunked(*inputs(), erase=erase)[0], given[0])


def test_they_are_for_gpus_only() -> None:
    assert not kernels.usable(inputs()[1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@ERASE
def test_results_and_gradients_are_those_of_torch(erase: bool) -> None:
    """As far as a GPU multiplies: TF32."""
    pytest.importorskip("fla")
    ours, theirs = inputs("cuda"), inputs("cuda")
    for form, given in ((associative.recurrent, ours), (kernels.chunked, theirs)):
        y, state = form(*given, erase=erase)
        (y.square().sum() + state.square().sum()).backward()
    torch.testing.assert_close(
        kernels.chunked(*theirs, erase=erase), associative.recurrent(*ours, erase=erase),
        atol=5e-3, rtol=5e-3,
    )  # fmt: skip
    for own, other in zip(ours, theirs, strict=True):
        assert own.grad is not None
        torch.testing.assert_close(
            other.grad, own.grad, atol=5e-3 * float(own.grad.abs().max()), rtol=0
        )
