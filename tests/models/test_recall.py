"""Frames recalled by the places they were seen from."""

import torch
from nano import MOTION
from torch import Tensor

from worldmodel_env.models.recall import AIMS, HEADS, Recall, held, written


def test_a_ring_holds_the_last_frames() -> None:
    frames = torch.arange(1, 12)[None]  # frame f holds f + 1
    for cuts in ((11,), (1,) * 11, (3, 1, 7)):
        ring, count = torch.zeros(1, 4, dtype=torch.int64), torch.tensor([0])
        for cut in cuts:
            ring = written(ring, frames[:, int(count) : int(count) + cut], count)
            count = count + cut
        assert sorted(ring[0].tolist()) == [8, 9, 10, 11]
        assert torch.equal(ring, held(count, 4) + 1)
    assert held(torch.tensor([2]), 4).tolist() == [[0, 1, -2, -1]]


def recall(asked: list[float], seen: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Untrained heads; frame i shows i + 1. What each finds, and how sure it is: (HEADS,) each."""
    frames = torch.arange(1.0, len(seen) + 1).view(1, -1, 1, 1, 1)
    known = torch.ones(1, 1, len(seen), dtype=torch.bool)
    found = Recall(3, MOTION, 4, 8)(torch.tensor([[asked]]), torch.tensor([seen]), known, frames)
    vectors, sure = found.detach().view(HEADS, 2).unbind(-1)
    return vectors, sure


def test_untrained_heads_find_the_view_or_one_beside_it() -> None:
    around = [[5.0, -3.0, k / 16] for k in range(16)]
    vectors, sure = recall([5.0, -3.0, 4 / 16], around)
    for (aside, _), found, how in zip(AIMS, vectors, sure, strict=True):
        assert how > 0.9
        assert abs(float(found) - (4 + aside + 1)) < 0.3


def test_from_nearby_only_the_head_that_allows_it_finds_a_view() -> None:
    _, sure = recall([0.0, 0.0, 0.5], [[2.0, 0.0, 0.5]])
    assert [float(s) > 0.5 for s in sure] == [reach > 0 for _, reach in AIMS]
    vectors, sure = recall([0.0, 0.0, 0.5], [[40.0, 0.0, 0.5]])
    assert (sure < 0.01).all()
    assert (vectors.abs() < 0.01).all()


def test_what_is_not_known_is_not_recalled() -> None:
    pose = torch.zeros(1, 1, 3)
    frames = torch.randn(1, 1, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    nobody = torch.zeros(1, 1, 1, dtype=torch.bool)
    assert not Recall(3, MOTION, 4, 8)(pose, pose, nobody, frames).any()
    found = Recall(3, MOTION, 4, 8)(pose, pose, ~nobody, frames)
    assert found.shape == (1, 1, HEADS * 5, 2, 2)
    vectors, sure = found.view(HEADS, 5, 2, 2).split([4, 1], 1)
    torch.testing.assert_close(vectors, frames[0] * sure)
