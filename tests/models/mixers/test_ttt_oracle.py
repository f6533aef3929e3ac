"""Test-time training equals its definition: autograd of the inner loss, token by token."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, vmap

from worldmodel_env.models.mixers.ttt import GROUP, Ttt
from worldmodel_env.models.mixers.ttt_linear import TttLinear
from worldmodel_env.models.mixers.ttt_mlp import TttMlp

DIM, HEADS, WIDTH, TOKENS = 16, 2, 8, 3

Weights = tuple[Tensor, ...]


def inner(x: Tensor, weights: Weights) -> Tensor:
    """g(x; W) of one token; W, b or W1, b1, W2, b2."""
    z = x @ weights[0] + weights[1]
    if len(weights) == 2:
        return z
    return F.gelu(z, approximate="tanh") @ weights[2] + weights[3]


def split(packed: Tensor) -> Weights:
    """A head's rows as the matrices and biases they stand for."""
    if len(packed) == WIDTH + 1:
        return packed[:WIDTH], packed[WIDTH]
    first = packed[: 4 * (WIDTH + 1)].reshape(WIDTH + 1, 4 * WIDTH)
    second = packed[4 * (WIDTH + 1) :]
    return first[:-1], first[-1], second[:-1], second[-1]


def by_definition(mixer: Ttt, x: Tensor) -> Tensor:
    """All frames (B, T, S, D) of all heads, from the first; only the projections are shared."""
    base = 1.0 if isinstance(mixer, TttLinear) else 0.1
    eta = base * torch.sigmoid(mixer.rate(x)) / WIDTH
    keep = torch.ones(x.shape[0], x.shape[1], HEADS)
    if mixer.keep is not None:
        keep = torch.sigmoid(mixer.keep(x.mean(2)) + 6.9)
    q, k, v = mixer.qkv(x).unflatten(3, (3, HEADS, WIDTH)).unbind(3)
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    rows = []
    for b in range(x.shape[0]):
        heads = []
        for head in range(HEADS):
            scale, shift = mixer.scale[head, 0], mixer.shift[head, 0]

            def model(x: Tensor, w: Weights, scale: Tensor = scale, shift: Tensor = shift):
                return x + F.layer_norm(inner(x, w), (WIDTH,), scale, shift, eps=1e-6)

            def loss(w: Weights, key: Tensor, value: Tensor, model=model) -> Tensor:
                return 0.5 * (model(key, w) - value).square().sum()

            start = weights = split(mixer.initial[head])
            read = []
            for t in range(x.shape[1]):
                a = keep[b, t, head]
                weights = tuple(a * w + (1 - a) * w0 for w, w0 in zip(weights, start, strict=True))
                gradients = vmap(grad(loss), (None, 0, 0))(
                    weights, k[b, t, :, head], v[b, t, :, head]
                )
                weights = tuple(
                    w - torch.einsum("s,s...->...", eta[b, t, :, head], g) / TOKENS
                    for w, g in zip(weights, gradients, strict=True)
                )
                read.append(torch.stack([model(query, weights) for query in q[b, t, :, head]]))
            heads.append(torch.stack(read))
        rows.append(torch.cat(heads, -1))
    return mixer.out(mixer.norm(torch.stack(rows)))


def build(kind: type[Ttt], forgetting: bool) -> Ttt:
    torch.manual_seed(0)
    mixer = kind(DIM, HEADS, forgetting=forgetting)
    with torch.no_grad():  # nothing at a value that would hide it
        for parameter in mixer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if mixer.keep is not None:
            mixer.keep.weight.mul_(20)
    return mixer


@pytest.mark.parametrize("forgetting", [False, True])
@pytest.mark.parametrize("kind", [TttLinear, TttMlp])
def test_it_equals_gradient_descent_on_the_inner_loss(kind: type[Ttt], forgetting: bool) -> None:
    mixer = build(kind, forgetting)
    x = torch.randn(2, 6, TOKENS, DIM)
    state = torch.zeros(2, HEADS, mixer.rows, WIDTH)
    y, _ = mixer(x, state)
    expected = by_definition(mixer, x)
    torch.testing.assert_close(y, expected, atol=1e-4, rtol=1e-4)
    direction = torch.randn_like(y)
    ours = torch.autograd.grad((y * direction).sum(), list(mixer.parameters()))
    theirs = torch.autograd.grad((expected * direction).sum(), list(mixer.parameters()))
    for name, one, other in zip(dict(mixer.named_parameters()), ours, theirs, strict=True):
        tolerance = 1e-3 * float(other.abs().max())
        torch.testing.assert_close(one, other, atol=tolerance, rtol=1e-3, msg=name)
        assert other.any(), name


@pytest.mark.parametrize("kind", [TttLinear, TttMlp])
def test_recomputing_groups_of_frames_changes_no_gradient(
    kind: type[Ttt], monkeypatch: pytest.MonkeyPatch
) -> None:
    from worldmodel_env.models.mixers import ttt

    mixer, x = build(kind, forgetting=True), torch.randn(1, 2 * GROUP + 3, TOKENS, DIM)
    results = []
    for group in (GROUP, 10 * GROUP):
        monkeypatch.setattr(ttt, "GROUP", group)
        y, state = mixer(x, torch.zeros(1, HEADS, mixer.rows, WIDTH))
        loss = y.square().sum() + state.square().sum()
        results.append([y, state, *torch.autograd.grad(loss, list(mixer.parameters()))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", [TttLinear, TttMlp])
@torch.no_grad()
def test_what_was_learned_is_answered(kind: type[Ttt]) -> None:
    """Shown the same pairs again and again, the inner model comes to give v for k."""
    mixer = build(kind, forgetting=False)
    k, v = (torch.randn(1, HEADS, TOKENS, WIDTH) for _ in range(2))
    k = F.normalize(k, dim=-1)
    v = k + F.layer_norm(v, (WIDTH,)) * mixer.scale + mixer.shift  # within reach
    eta = torch.full((1, HEADS, TOKENS, 1), mixer.base / WIDTH)
    weights, errors = mixer.initial[None], []
    for _ in range(300):
        read, change = mixer.learn(k, k, v, eta, weights)
        answer = k + F.layer_norm(read, (WIDTH,)) * mixer.scale + mixer.shift
        errors.append(float((answer - v).square().mean()))
        weights = weights + change
    assert errors[-1] < 0.2 * errors[0]


@torch.no_grad()
def test_forgetting_keeps_a_state_small() -> None:
    sizes = []
    for forgetting in (False, True):
        mixer = build(TttLinear, forgetting)
        if mixer.keep is not None:
            mixer.keep.weight.zero_()
        state = torch.zeros(1, HEADS, mixer.rows, WIDTH)
        generator = torch.Generator().manual_seed(0)
        _, state = mixer(torch.randn(1, 600, TOKENS, DIM, generator=generator), state)
        sizes.append(float(state.norm()))
    assert sizes[1] < sizes[0]
