"""Visual odometry: how far a step led, told by the frames before and after it.

What an action does where nothing is in the way is known; but a wall stops a step, or turns it aside
along its face, and a pose that does not hear of it is wrong from then on. A world's own walls count
as well: its poses must follow what it shows, and nobody else can tell it.
"""

import torch
from torch import Tensor, nn

MOVED = 1 / 4
"""Least share of a frame's codes that a step changes. Of 52,914 steps in SimMaze-v0 that moved by
anything, one in five thousand changed less; of 5,570 into walls, none changed two codes."""

FREE = 0.2
"""Deviations below this, in steps, are none: so that a walk in the open adds up exactly. Along a
wall a step of SimMaze-v0 deviates by 0.38 or more, unless the wall ends before the step does."""

WIDTH = 32


class Odometer(nn.Module):
    """What walls took from a step.

    Learned from recorded poses before everything else (`training/odometry.py`), then frozen.
    """

    def __init__(self, channels: int, grid: int) -> None:
        """`channels` E of code vectors; `grid`, the side of a frame's code grid."""
        super().__init__()
        half = (grid + 1) // 2
        self.layers = nn.Sequential(
            nn.Conv2d(2 * channels, WIDTH, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(WIDTH * half * half, 2 * WIDTH),
            nn.ReLU(),
            nn.Linear(2 * WIDTH, 2),
        )
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]
        self.requires_grad_(False)

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Code vectors (N, E, 2g, 2g) -> (N, 2): steps ahead and to the left, less the intended."""
        return self.layers(torch.cat([before, after], 1))


def travelled(motion: Tensor, deviation: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Motions as far as walls allowed them.

    Args:
        motion: (..., 3) of the actions.
        deviation: (..., 2) from an `Odometer`.
        before: codes (..., 2g, 2g); where nothing changes, a step led nowhere.
        after: the same.
    """
    turn, way = motion[..., :1], motion[..., 1:]
    steps = way.abs().sum(-1, keepdim=True) > 0
    aside = deviation.square().sum(-1, keepdim=True) > FREE**2
    changed = (before != after).flatten(-2).float().mean(-1, keepdim=True) >= MOVED
    return torch.cat([turn, (way + deviation * aside) * (steps & changed)], -1)
