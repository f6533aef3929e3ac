"""Clips that go on where others ended: the same numbers as one long clip."""

from dataclasses import fields, replace

import pytest
import torch
from nano import make_nano
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.training.encoded import Encoded, continued, encode

BATCH, CLIP = 2, 9
MEMORIES = pytest.mark.parametrize(
    "memory", ["none", "gated_delta", "mamba2", "ttt_linear", "ttt_mlp"]
)


def build(memory: str = "gated_delta") -> Imagination:
    return make_nano(memory=memory).imagination()


def long_clips(clips: int) -> Clips:
    generator = torch.Generator().manual_seed(0)
    frames = 1 + clips * (CLIP - 1)
    return Clips(
        codes=torch.randint(64, (BATCH, frames, 8, 8), generator=generator),
        actions=torch.randint(3, (BATCH, frames - 1), generator=generator),
        rewards=torch.zeros(BATCH, frames - 1),
        terminations=torch.zeros(BATCH, frames - 1, dtype=torch.bool),
        valid=torch.ones(BATCH, frames, dtype=torch.bool),
    )


def part(clips: Clips, number: int) -> Clips:
    """Consecutive clips share a frame."""
    first = number * (CLIP - 1)
    cut = {f.name: getattr(clips, f.name)[:, first : first + CLIP] for f in fields(clips)}
    moves = {name: cut[name][:, : CLIP - 1] for name in ("actions", "rewards", "terminations")}
    return Clips(**{**cut, **moves})


def by_row(encoded: Encoded, name: str) -> Tensor:
    return getattr(encoded, name).unflatten(0, (BATCH, -1))


@MEMORIES
@torch.no_grad()
def test_carried_clips_equal_one_long_clip(memory: str) -> None:
    model, clips = build(memory).teco, long_clips(3)
    whole = encode(model, clips)
    assert whole.state is None
    state, parts = None, []
    for number in range(3):
        one = part(clips, number)
        parts.append(encode(model, one, carried=continued(model, one, state)))
        state = parts[-1].state
    for name in ("h", "z", "z_codes", "target", "previous", "action", "valid"):
        together = torch.cat([by_row(x, name) for x in parts], 1)
        torch.testing.assert_close(together, by_row(whole, name), atol=1e-4, rtol=0, msg=name)


@MEMORIES
@torch.no_grad()
def test_the_carried_state_is_imaginations_own(memory: str) -> None:
    """So a roll-out may go on from where a clip ended, and training from where a roll-out did."""
    imagination, clips = build(memory), long_clips(1)
    encoded = encode(imagination.teco, clips, carried=continued(imagination.teco, clips))
    state = imagination.begin(clips.codes[:, 0])
    for t in range(CLIP - 1):
        state = imagination.observe_codes(state, clips.codes[:, t + 1], clips.actions[:, t])
    assert encoded.state is not None
    assert set(encoded.state) == set(state)
    for name, expected in state.items():
        torch.testing.assert_close(encoded.state[name], expected, atol=1e-4, rtol=0)


@MEMORIES
@torch.no_grad()
def test_rows_that_begin_know_nothing_of_the_past(memory: str) -> None:
    model, clips = build(memory).teco, long_clips(2)
    first, second = part(clips, 0), part(clips, 1)
    state = encode(model, first, carried=continued(model, first)).state
    begins = torch.tensor([True, False])
    mixed = encode(model, second, carried=continued(model, second, state, begins))
    alone, on = by_row(encode(model, second), "h"), by_row(encode(model, clips), "h")
    torch.testing.assert_close(by_row(mixed, "h")[0], alone[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(by_row(mixed, "h")[1], on[1, CLIP - 1 :], atol=1e-4, rtol=0)


def test_gradients_end_at_the_clip_but_reach_every_weight() -> None:
    model, clips = build("ttt_linear").teco, long_clips(2)
    model.requires_grad_(True)
    first, second = part(clips, 0), part(clips, 1)
    state = encode(model, first, carried=continued(model, first)).state
    assert state is not None
    assert not any(tensor.requires_grad for tensor in state.values())
    encode(model, second, carried=continued(model, second, state)).h.square().sum().backward()
    parameters = dict(model.temporal.named_parameters())
    # The beginning of a memory goes on learning from clips that do not begin.
    assert all(p.grad is not None and p.grad.any() for p in parameters.values())


@torch.no_grad()
def test_a_clip_that_does_not_continue_is_refused() -> None:
    model, clips = build().teco, long_clips(2)
    first = part(clips, 0)
    state = encode(model, first, carried=continued(model, first)).state
    with pytest.raises(InputError, match="2 of 2 clips do not begin with the frame"):
        continued(model, first, state)
    other = build("mamba2").teco
    second = part(clips, 1)
    with pytest.raises(InputError, match="it is another mixer's"):
        encode(other, second, carried=state)


@torch.no_grad()
def test_padding_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    model, clips = build().teco, long_clips(1)
    short = replace(clips, valid=torch.arange(CLIP).expand(BATCH, -1) < 5)
    noise = short.codes.clone()
    noise[:, 5:] = 0
    one, other = (
        encode(model, c, carried=continued(model, c)) for c in (short, replace(short, codes=noise))
    )
    for name in ("commitment", "codebook"):
        torch.testing.assert_close(one.losses[name], other.losses[name])
    assert torch.equal(one.projected, other.projected)
    assert one.valid.sum() == BATCH * 4
