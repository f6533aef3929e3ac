"""How far steps led, told by the frames before and after them."""

import torch
from nano import MOTION, make_nano

from worldmodel_env.models.odometer import Odometer, travelled

LEFT, _, FORWARD = range(3)
TABLE = torch.tensor(MOTION)


def test_a_wall_stops_steps_but_not_turns() -> None:
    before = torch.zeros(4, 8, 8, dtype=torch.int64)
    after = before.clone()
    after[1, :2] = 1  # a quarter
    after[2, 0, 0] = 1
    motion = TABLE[[FORWARD, FORWARD, FORWARD, LEFT]]
    expected = motion.clone()
    expected[[0, 2], 1] = 0
    assert torch.equal(travelled(motion, torch.zeros(4, 2), before, after), expected)


def test_a_wall_turns_steps_aside_but_not_turns() -> None:
    before = torch.zeros(4, 8, 8, dtype=torch.int64)
    after = before + 1
    after[3] = 0
    motion = TABLE[[FORWARD, FORWARD, LEFT, FORWARD]]
    deviation = torch.tensor([[-0.5, 0.5], [0.1, 0.1], [-0.5, 0.5], [-0.5, 0.5]])
    way = [[0.0, 0.5, 0.5], [0.0, 1, 0], [1 / 16, 0, 0], [0, 0, 0]]
    assert torch.equal(travelled(motion, deviation, before, after), torch.tensor(way))


def test_untrained_it_takes_nothing_and_is_frozen() -> None:
    odometer = Odometer(4, 5)
    frames = torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(odometer(*frames), torch.zeros(3, 2))
    assert not any(p.requires_grad for p in odometer.parameters())


def test_worlds_of_other_tests_deviate() -> None:
    """Or they would not see a form of the step that forgets to."""
    teco = make_nano(recall=4).imagination().teco
    codes = torch.randint(64, (2, 16, 8, 8), generator=torch.Generator().manual_seed(0))
    assert teco.recall.odometer(*map(teco.vectors, codes)).norm(dim=1).median() > 0.2
