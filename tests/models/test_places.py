"""Poses added up from actions, and frames recalled by them."""

from math import pi

import torch
from nano import MOTION
from torch import Tensor

from worldmodel_env.models.places import (
    AIMS,
    FEATURES,
    HEADS,
    Recall,
    features,
    held,
    moved,
    origin,
    reckoned,
    stopped,
    written,
)

LEFT, RIGHT, FORWARD = range(3)
TABLE = torch.tensor(MOTION)


def walk(actions: list[int]) -> Tensor:
    """Poses (1, T+1, 3) of a walk where nothing is in the way."""
    return reckoned(origin(torch.zeros(1)), TABLE[torch.tensor([actions])])


def test_a_circle_ends_where_it_began_to_the_bit() -> None:
    assert torch.equal(walk([LEFT] * 16)[0, -1], torch.zeros(3))
    assert torch.equal(walk([RIGHT] * 160)[0, -1], torch.zeros(3))


def test_a_square() -> None:
    side = [FORWARD] * 5 + [LEFT] * 4
    poses = walk(side * 4)[0]
    corners = torch.tensor([[5.0, 0, 0.25], [5, 5, 0.5], [0, 5, 0.75], [0, 0, 0]])
    torch.testing.assert_close(poses[len(side) :: len(side)], corners, atol=1e-5, rtol=0)


def test_sideways_is_to_the_left_of_the_heading() -> None:
    pose = moved(torch.tensor([1.0, 2.0, 0.25]), torch.tensor([0.0, 0.0, 3.0]))
    torch.testing.assert_close(pose, torch.tensor([-2.0, 2.0, 0.25]))


def test_one_after_the_other_as_all_at_once() -> None:
    actions = torch.randint(3, (2, 40), generator=torch.Generator().manual_seed(0))
    start = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0625]])
    whole, pose = reckoned(start, TABLE[actions]), start
    for t in range(40):
        pose = moved(pose, TABLE[actions[:, t]])
        torch.testing.assert_close(pose, whole[:, t + 1], atol=1e-4, rtol=0)


def test_a_wall_stops_steps_but_not_turns() -> None:
    before = torch.zeros(4, 8, 8, dtype=torch.int64)
    after = before.clone()
    after[1, :2] = 1  # a quarter
    after[2, 0, 0] = 1
    motion = TABLE[[FORWARD, FORWARD, FORWARD, LEFT]]
    expected = motion.clone()
    expected[[0, 2], 1] = 0
    assert torch.equal(stopped(motion, before, after), expected)


def test_features_see_only_how_poses_lie_to_each_other() -> None:
    """Turned and shifted together they are the same; one alone, they are not."""
    generator = torch.Generator().manual_seed(0)
    asked, seen = torch.rand(2, 1, 5, 3, generator=generator)
    expected = features(asked, seen)
    assert expected.shape == (1, 5, 5, FEATURES)

    def elsewhere(pose: Tensor) -> Tensor:
        angle = torch.tensor(2 * pi * 0.3)
        x, y = pose[..., 0], pose[..., 1]
        turned = [x * angle.cos() - y * angle.sin() + 7, x * angle.sin() + y * angle.cos() - 3]
        return torch.stack([*turned, (pose[..., 2] + 0.3) % 1], -1)

    torch.testing.assert_close(
        features(elsewhere(asked), elsewhere(seen)), expected, atol=1e-4, rtol=0
    )
    assert not torch.allclose(features(asked, elsewhere(seen)), expected, atol=1e-2)


def test_ahead_and_left_are_told_from_behind_and_right() -> None:
    here = torch.zeros(1, 1, 3)
    ahead, behind, left, right = (
        features(here, torch.tensor([[[x, y, 0.0]]]))
        for x, y in ((2.0, 0.0), (-2.0, 0.0), (0.0, 2.0), (0.0, -2.0))
    )
    for one, other in ((ahead, behind), (left, right), (ahead, left)):
        assert (one - other).abs().max() > 0.1


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
    found = Recall()(torch.tensor([[asked]]), torch.tensor([seen]), known, frames)
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
    assert not Recall()(pose, pose, nobody, frames).any()
    found = Recall()(pose, pose, ~nobody, frames)
    assert found.shape == (1, 1, HEADS * 5, 2, 2)
    vectors, sure = found.view(HEADS, 5, 2, 2).split([4, 1], 1)
    torch.testing.assert_close(vectors, frames[0] * sure)
