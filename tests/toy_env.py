"""A small deterministic image environment, for tests of everything that wraps a simulator."""

import os
import signal
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

ID = "toy_env:Toy-v0"
"""For `gymnasium.make`, which then imports this module wherever it runs; 40 steps at most."""

ENDLESS_ID = "toy_env:ToyEndless-v0"
"""The same without a time limit."""


class ToyEnv(gymnasium.Env):
    """A bright square on a coloured floor; reaching the far wall pays 1 and terminates.

    Actions, in each of the three kinds, turn left or right or go forward; headings are multiples of
    15 degrees. The seed alone fixes colours, position and heading.

    Args:
        size: side of the floor, in units; a forward action moves one.
        image_size: side of the frames in pixels.
        action: "discrete" (3), "box" (turn in -1..1, speed in 0..1) or "multi" ([3, 2]).
        task: "wall", or "wander": nothing pays, nothing terminates.
        split: tints the floor, so that the splits differ.
        fatal_seed: `reset` with this seed kills the process, as a crash of an engine would.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(
        self,
        size: int = 9,
        image_size: int = 32,
        action: str = "discrete",
        task: str = "wall",
        split: str = "train",
        fatal_seed: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        self.size = size
        self.image_size = image_size
        self.task = task
        self.split = split
        self.fatal_seed = fatal_seed
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        self.action_space = {
            "discrete": spaces.Discrete(3),
            "box": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 1], np.float32)),
            "multi": spaces.MultiDiscrete([3, 2]),
        }[action]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None and seed == self.fatal_seed:
            os.kill(os.getpid(), signal.SIGKILL)
        self.floor = self.np_random.integers(0, 120, 3).astype(np.uint8)
        self.floor[0] += {"train": 0, "validation": 40, "test": 80}[self.split]
        self.x, self.y = self.np_random.uniform(1, self.size - 2, 2)
        self.heading = 15.0 * self.np_random.integers(24)
        info = self._info()
        return self._frame(), {**info, "layout": "." * self.size, "goal": (self.size - 1, 0)}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        if isinstance(self.action_space, spaces.Box):
            turn, speed = float(action[0]), float(action[1])
        elif isinstance(self.action_space, spaces.MultiDiscrete):
            turn, speed = float(action[0] - 1), float(action[1])
        else:
            turn, speed = {0: (-1.0, 0.0), 1: (1.0, 0.0), 2: (0.0, 1.0)}[int(action)]
        self.heading = (self.heading + 15.0 * turn) % 360.0
        last = self.size - 1.0
        self.x = float(np.clip(self.x + speed * np.cos(np.radians(self.heading)), 0, last))
        self.y = float(np.clip(self.y + speed * np.sin(np.radians(self.heading)), 0, last))
        arrived = self.task == "wall" and self.x >= last
        return self._frame(), float(arrived), arrived, False, self._info()

    def render(self) -> np.ndarray:
        return self._frame()

    def _info(self) -> dict[str, Any]:
        return {"pose": np.array([self.x, self.y, self.heading], np.float32)}

    def _frame(self) -> np.ndarray:
        frame = np.empty(self.observation_space.shape, np.uint8)
        frame[:] = self.floor
        scale = (self.image_size - 4) / (self.size - 1)
        row, column = int(self.y * scale), int(self.x * scale)
        frame[row : row + 4, column : column + 4] = (255, 255, int(self.heading / 2))
        return frame


gymnasium.register("Toy-v0", entry_point=ToyEnv, max_episode_steps=40)
gymnasium.register("ToyEndless-v0", entry_point=ToyEnv)
