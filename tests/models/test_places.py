"""Poses added up from actions, and how they lie to each other."""

from math import pi

import torch
from nano import MOTION
from torch import Tensor

from worldmodel_env.models.places import (
    FEATURES,
    features,
    moved,
    origin,
    reckoned,
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
