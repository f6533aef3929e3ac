"""Poses added up from actions, and what heads make of them."""

from math import pi

import torch
from nano import MOTION
from torch import Tensor

from worldmodel_env.models.reckoning import (
    FEATURES,
    Recall,
    features,
    moved,
    origin,
    recalled,
    reckoned,
    stopped,
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


def scores(seen: list[list[float]], tokens: int = 1) -> Tensor:
    """By which eight untrained heads recall what was seen from some poses, asked about the first.

    (heads, S, M, S).
    """
    relation = features(torch.tensor([seen[:1]]), torch.tensor([seen]))
    found = Recall(8, tokens)(relation).detach()
    return found[0].view(8, tokens, len(seen), tokens)


def test_untrained_heads_look_for_the_same_view_or_one_beside_it() -> None:
    turned = [[5.0, -3.0, k / 16] for k in (4, 5, 3, 12)]
    found = scores(turned)[:, 0, :, 0]
    assert found.argmax(1).tolist() == [0, 1, 0, 2, 0, 1, 0, 2]
    elsewhere = scores([[0.0, 0.0, 0.5], [2.0, 0.0, 0.5], [30.0, 0.0, 0.5]])[:, 0, :, 0]
    assert (elsewhere[:4:2, 1] < -4).all(), "the first half want the very place"
    assert (elsewhere[4::2, 1] > 0).all(), "the others one nearby"
    assert (elsewhere[:, 2] < -5).all()


def test_heads_that_want_the_same_view_want_it_token_by_token() -> None:
    same = scores([[0.0, 0.0, 0.0]], tokens=4)[0, :, 0]
    assert (same.argmax(1) == torch.arange(4)).all()


def test_a_score_lies_where_its_tokens_do() -> None:
    recall, generator = Recall(2, 4), torch.Generator().manual_seed(0)
    asked, seen = (torch.rand(1, n, 3, generator=generator) for n in (3, 5))
    relation = features(asked, seen)
    found, weight = recall(relation), recall.weight.view(2, 4, 4, FEATURES)
    assert found.shape == (1, 2, 12, 20)
    for head, i, j, a, b in ((0, 2, 1, 0, 3), (1, 0, 4, 3, 0)):
        expected = weight[head, a, b] @ relation[0, i, j]
        torch.testing.assert_close(found[0, head, i * 4 + a, j * 4 + b], expected)


def test_where_no_frame_fits_nothing_is_recalled() -> None:
    values = torch.tensor([[[[1.0], [3.0]]]])
    seen = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    assert recalled(torch.tensor([[[[-30.0, -40.0]]]]), seen, values).abs() < 1e-9
    torch.testing.assert_close(
        recalled(torch.tensor([[[[30.0, -40.0]]]]), seen, values).flatten(), torch.ones(1)
    )
    torch.testing.assert_close(
        recalled(torch.zeros(1, 1, 1, 2), seen, values).flatten(), torch.tensor([4 / 3])
    )
    first = torch.tensor([True, False]).view(1, 1, 1, 2)
    torch.testing.assert_close(
        recalled(torch.tensor([[[[30.0, 90.0]]]]), first, values).flatten(), torch.ones(1)
    )
    nobody = torch.zeros_like(seen)
    assert not recalled(torch.zeros(1, 1, 1, 2), nobody, values).any()
