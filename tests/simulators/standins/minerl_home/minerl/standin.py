"""What `gym.make` of a MineRL id gives: old gym's calls, MineRL's spaces and failure modes."""

import os
import warnings

import numpy as np

LEVELS = (
    "MineRLNavigate-v0", "MineRLTreechop-v0", "MineRLBasaltFindCave-v0", "MineRLStuck-v0",
)  # fmt: skip
NEW = os.environ.get("STANDIN_MINERL") == "1.0"
KEYS = ("attack", "back", "forward", "jump", "left", "right", "sneak", "sprint")
NEW_KEYS = ("ESC", "drop", "inventory", "pickItem", "swapHands", "use")


class Space:
    def __init__(self, keys):
        self.spaces = dict.fromkeys([*keys, "camera"])

    def no_op(self, batch_shape=()):
        action = {name: np.array(0) for name in self.spaces}
        action["camera"] = np.zeros(2, np.float32)
        return action

    def noop(self, batch_shape=()):
        warnings.warn("space.noop() is being deprecated", DeprecationWarning, stacklevel=2)
        return self.no_op()


class Env:
    """The player turns; walking moves it where it looks. Location only where the level tells it."""

    def __init__(self, level):
        print("Starting Minecraft process", flush=True)
        keys = KEYS if level != "MineRLStuck-v0" else ("attack",)
        self.action_space = Space([*keys, *NEW_KEYS] if NEW else keys)
        self._level, self._seed, self._done = level, None, True

    def seed(self, seed=None, seed_spaces=True):
        assert isinstance(seed, int) or seed is None, "Seed must be an int!"
        self._seed = seed

    def reset(self):
        rng = np.random.default_rng(self._seed)
        self._tint = int(rng.integers(256))
        self._x, self._z = rng.uniform(-100, 100, 2)
        self._yaw, self._pitch = 0.0, 0.0
        self._steps, self._done, self._seed = 0, False, None
        return self._obs()

    def step(self, action):
        if self._done:
            raise RuntimeError("Attempted to step an environment server with done=True")
        assert set(action) == set(self.action_space.spaces)
        assert action["camera"].dtype == np.float32
        assert action["camera"].shape == (2,)
        print("[Client thread/INFO]: a line of the game's log", flush=True)
        self._pitch = float(np.clip(self._pitch + action["camera"][0], -90, 90))
        self._yaw = (self._yaw + action["camera"][1] + 180) % 360 - 180
        ahead = int(action["forward"]) - int(action["back"])
        self._x -= 0.2 * ahead * np.sin(np.radians(self._yaw))
        self._z += 0.2 * ahead * np.cos(np.radians(self._yaw))
        self._steps += 1
        if self._level == "MineRLTreechop-v0" and self._steps == 30:
            self._done = True
            noise = np.random.default_rng().integers(0, 256, (64, 64, 3), np.uint8)
            return {"pov": noise}, 0, True, {"error": "Connection timed out!"}
        self._done = self._steps == 60
        monitored = {"location_stats": self._location()} if NEW else {}
        limit = {"TimeLimit.truncated": True} if self._done and NEW else {}
        return self._obs(), 0.25, self._done, {**monitored, **limit}

    def close(self):
        pass

    def _obs(self):
        shape = (360, 640, 3) if NEW else (64, 64, 3)
        picture = np.full(shape, self._tint, np.uint8)
        picture[..., 1] = int(self._yaw) % 256
        picture[..., 2] = int(10 * (self._x + self._z)) % 256
        # As it comes from the socket: the rows the other way round, not contiguous.
        return {"pov": picture[::-1]}

    def _location(self):
        return {
            "xpos": np.array(self._x), "ypos": np.array(64.0), "zpos": np.array(self._z),
            "yaw": np.array(self._yaw), "pitch": np.array(self._pitch), "biome_id": np.array(6),
        }  # fmt: skip
