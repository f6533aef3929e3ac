"""An environment that a policy learns in seconds: the frame's colour says which action pays."""

import gymnasium
import numpy as np
from gymnasium import spaces

SPACES = {
    "discrete": spaces.Discrete(3),
    "multi": spaces.MultiDiscrete([3, 2]),
    "box": spaces.Box(np.array([-1, 0], np.float32), np.array([1, 1], np.float32)),
}


class ToyRoom(gymnasium.Env):
    """Five steps, each a colour: 0, 1 or 2; the same number as action pays 0.2, the last one ends.

    Args:
        kind: action space.
        memory: show the colour only in the first frame; it stays the same all along.
        endless: never end.
        split: unused, as simulators have it.
    """

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        kind: str = "discrete",
        memory: bool = False,
        endless: bool = False,
        split: str = "train",
        render_mode: str | None = None,
    ):
        self.observation_space = spaces.Box(0, 255, (32, 32, 3), np.uint8)
        self.action_space = SPACES[kind]
        self.memory, self.endless, self.render_mode = memory, endless, None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        self.colour = int(self.np_random.integers(3))
        return self._frame(), {"pose": np.zeros(3, np.float32)}

    def step(self, action):
        if isinstance(self.action_space, spaces.Box):
            paid = abs(float(action[0]) - (self.colour - 1)) < 0.5
        else:
            paid = int(np.ravel(action)[0]) == self.colour
        self.time += 1
        if not self.memory:
            self.colour = int(self.np_random.integers(3))
        ended = self.time == 5 and not self.endless
        return self._frame(), 0.2 * paid, ended, False, {"pose": np.zeros(3, np.float32)}

    def _frame(self):
        frame = np.zeros((32, 32, 3), np.uint8)
        if not self.memory or self.time == 0:
            frame[..., self.colour] = 255
        return frame


gymnasium.register("ToyRoom-v0", ToyRoom, max_episode_steps=None)
gymnasium.register("ToyRoomLimited-v0", ToyRoom, max_episode_steps=7)
