"""Attention over a window and a sink: who is seen, at which distance, cut into any chunks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.models.mixers.state import Ring
from worldmodel_env.models.mixers.window import Window
from worldmodel_env.models.positions import rotate

HEADS, WIDTH, TOKENS, FRAMES = 2, 8, 3, 23
WINDOWS = pytest.mark.parametrize(
    ("window", "sink"), [(4, 0), (4, 1), (4, 3), (1, 0), (1, 2), (7, 2), (40, 0), (40, 3)]
)


def parts(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (3, batch, HEADS, FRAMES * TOKENS, WIDTH)
    return tuple(torch.randn(*shape, generator=generator))  # type: ignore[return-value]


def by_definition(q: Tensor, k: Tensor, v: Tensor, window: int, sink: int) -> Tensor:
    """Frame by frame and key by key."""
    read = []
    for t in range(FRAMES):
        seen = [f for f in range(t + 1) if t - f < window or f < sink]
        away = [min(t - f, window + sink - 1 - f) if f < sink else t - f for f in seen]
        columns = [f * TOKENS + s for f in seen for s in range(TOKENS)]
        at = -torch.tensor(away).repeat_interleave(TOKENS)
        now = slice(t * TOKENS, (t + 1) * TOKENS)
        keys = rotate(k[:, :, columns], at)
        read.append(F.scaled_dot_product_attention(q[:, :, now], keys, v[:, :, columns]))
    return torch.cat(read, 2)


def run(window: Window, sizes: list[int]) -> tuple[Tensor, Ring]:
    q, k, v = parts()
    nothing = torch.zeros(2, HEADS, window.slots, TOKENS, WIDTH)
    ring = nothing, nothing
    index, out = torch.zeros(2, dtype=torch.int64), []
    for part in zip(*(x.split([n * TOKENS for n in sizes], 2) for x in (q, k, v)), strict=True):
        attend = window.step if part[0].shape[2] == TOKENS else window.chunk
        y, ring = attend(*part, ring, index)
        index = index + part[0].shape[2] // TOKENS
        out.append(y)
    return torch.cat(out, 2), ring


@WINDOWS
def test_a_whole_clip_is_what_the_definition_says(window: int, sink: int) -> None:
    q, k, v = parts()
    y = Window(window, sink, True, TOKENS).whole(q, k, v)
    torch.testing.assert_close(y, by_definition(q, k, v, window, sink), atol=1e-5, rtol=0)


@WINDOWS
@pytest.mark.parametrize(
    "sizes", [[1] * FRAMES, [FRAMES], [2, 1, 1, 9, 10], [1, 22], [12, 11]], ids=str
)
def test_any_cutting_gives_the_same(window: int, sink: int, sizes: list[int]) -> None:
    attention = Window(window, sink, True, TOKENS)
    y, ring = run(attention, sizes)
    torch.testing.assert_close(y, attention.whole(*parts()), atol=1e-5, rtol=0)
    _, expected = run(attention, [1] * FRAMES)
    assert all(map(torch.equal, ring, expected))


def test_slots_hold_the_sink_and_a_ring() -> None:
    window = Window(3, 2, True, TOKENS)
    held = window.held(torch.tensor([0, 1, 2, 4, 5, 9]))
    none = -1
    assert held.tolist() == [
        [none, none, none, none, none],
        [0, none, none, none, none],
        [0, 1, none, none, none],
        [0, 1, 2, 3, none],
        [0, 1, 2, 3, 4],
        [0, 1, 8, 6, 7],
    ]


def test_late_frames_are_as_exact_as_early_ones() -> None:
    """Angles of a million radians would have lost their digits."""
    window = Window(4, 0, True, TOKENS)
    q, k, v = (x[:, :, : 6 * TOKENS] for x in parts())
    _, ring = run(window, [1] * FRAMES)
    now = torch.full((2,), FRAMES)
    later = now + 4_000_000
    for attend, n in ((window.step, 1), (window.chunk, 6)):
        given = [x[:, :, : n * TOKENS] for x in (q, k, v)]
        y, _ = attend(*given, ring, now)
        # The ring has turned by whole rounds only.
        late, _ = attend(*given, ring, later)
        torch.testing.assert_close(y, late, atol=1e-5, rtol=0)
