"""A stand-in for the module deepmind_lab: its API as documented, over a small maze of its own.

Written from the Python API's description: names, argument kinds, dtypes, shapes, states in which
calls are allowed, and the exceptions otherwise. It draws no textures, but what it shows depends on
where the player stands and looks.
"""

import os

import numpy as np

_CELL = 100.0
_LEVELS = ("teco_maze", "tests/empty_room_test", "tests/demo_map")
_KNOWN = {"width", "height", "fps", "levelDirectory", "appendCommand", "mixerSeed", "minimalUI"}
_ACTIONS = [
    {"name": "LOOK_LEFT_RIGHT_PIXELS_PER_FRAME", "min": -512, "max": 512},
    {"name": "LOOK_DOWN_UP_PIXELS_PER_FRAME", "min": -512, "max": 512},
    {"name": "STRAFE_LEFT_RIGHT", "min": -1, "max": 1},
    {"name": "MOVE_BACK_FORWARD", "min": -1, "max": 1},
    {"name": "FIRE", "min": 0, "max": 1},
    {"name": "JUMP", "min": 0, "max": 1},
    {"name": "CROUCH", "min": 0, "max": 1},
]
_DEGREES_PER_PIXEL = 0.11
_resets = 0
"""In this process: what the real engine's frames depend on besides the seed."""


class Lab:
    def __init__(
        self, level, observations, config=None, renderer="software", level_cache=None,
        temp_folder="",
    ):  # fmt: skip
        if not isinstance(level, str) or not isinstance(observations, list):
            raise TypeError("Lab() argument 1 must be str, argument 2 must be list")
        if config is not None and not isinstance(config, dict):
            raise TypeError("Lab() argument 3 must be dict")
        if renderer not in ("software", "hardware"):
            raise RuntimeError(
                f'Failed to set renderer must be "hardware" or "software" actual "{renderer}"!'
            )
        os.write(1, b"I_FindLevel\n")
        settings = {"width": "320", "height": "240", "fps": "60"}
        for key, value in (config or {}).items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise TypeError("bad argument type for built-in operation")
            if key not in _KNOWN and key != "episodeLengthSeconds":
                raise RuntimeError(
                    f"Failed to init environment - \"Invalid setting: '{key}' = '{value}'\""
                )
            settings[key] = value
        if level not in _LEVELS:
            raise RuntimeError(f"Failed to init environment - \"Level not found: '{level}'\"")
        self._height, self._width = int(settings["height"]), int(settings["width"])
        self._seconds = float(settings.get("episodeLengthSeconds", 600))
        self._fps = int(settings["fps"])
        self._debug = level != "tests/demo_map"
        self._maze = level == "teco_maze"
        names = {spec["name"] for spec in self.observation_spec()}
        for name in observations:
            if name not in names:
                raise ValueError(f"Unknown observation '{name}'.")
        self._names = observations
        self._running = False

    def observation_spec(self):
        shape = (self._height, self._width)
        double = np.float64
        spec = [
            {"name": "RGB_INTERLEAVED", "dtype": np.uint8, "shape": (*shape, 3)},
            {"name": "RGBD_INTERLEAVED", "dtype": np.uint8, "shape": (*shape, 4)},
            {"name": "RGB", "dtype": np.uint8, "shape": (3, *shape)},
            {"name": "VEL.TRANS", "dtype": double, "shape": (3,)},
            {"name": "VEL.ROT", "dtype": double, "shape": (3,)},
            {"name": "INSTR", "dtype": str, "shape": ()},
        ]
        if self._debug:
            spec += [
                {"name": "DEBUG.POS.TRANS", "dtype": double, "shape": (3,)},
                {"name": "DEBUG.POS.ROT", "dtype": double, "shape": (3,)},
                {"name": "DEBUG.MAZE.LAYOUT", "dtype": str, "shape": ()},
            ]
        return spec

    def action_spec(self):
        return [dict(spec) for spec in _ACTIONS]

    def fps(self):
        return self._fps

    def num_steps(self):
        return self._frames if self._running else 0

    def is_running(self):
        return self._running

    def reset(self, episode=-1, seed=None):
        global _resets
        if seed is not None and type(seed) is not int:
            raise ValueError(f"'seed' must be int or None, was '{type(seed).__name__}'.")
        if self._running is None:
            raise RuntimeError("Failed to start environment")
        os.write(1, b"--- Game Initialization ---\n")
        _resets += 1
        rng = np.random.default_rng(seed)
        self._walls = np.ones((9, 9), bool)
        self._walls[1:-1, 1:-1] = rng.random((7, 7)) < 0.3 if self._maze else False
        free = np.argwhere(~self._walls)
        row, column = free[rng.integers(len(free))]
        self._pos = np.array([column + 0.5, 8.5 - row, 0.5]) * _CELL
        self._yaw = float(rng.integers(-180, 180))
        self._tint = int(rng.integers(200)) + min(_resets, 50)
        self._frames, self._running = 0, True

    def step(self, action, num_steps=1):
        if not isinstance(action, np.ndarray):
            raise TypeError("step() argument 1 must be numpy.ndarray")
        if not self._running:
            raise RuntimeError("Environment in wrong status to advance.")
        if action.shape != (7,):
            raise ValueError("action must have shape (7)")
        if action.dtype != np.intc:
            raise ValueError("action must have dtype np.intc")
        for value, spec in zip(action, _ACTIONS, strict=True):
            assert spec["min"] <= value <= spec["max"], "the engine's behaviour is undefined"
        for _ in range(num_steps):
            self._yaw = (self._yaw - action[0] * _DEGREES_PER_PIXEL + 180) % 360 - 180
            yaw = np.radians(self._yaw)
            ahead = np.array([np.cos(yaw), np.sin(yaw)]) * action[3]
            aside = np.array([np.sin(yaw), -np.cos(yaw)]) * action[2]
            there = self._pos[:2] + 6.0 * (ahead + aside)
            for axis in (0, 1):
                moved = self._pos[:2].copy()
                moved[axis] = there[axis]
                if not self._wall(*moved):
                    self._pos[axis] = there[axis]
            self._frames += 1
        self._running = self._frames < self._seconds * self._fps
        return 0.0

    def observations(self):
        if not self._running:
            raise RuntimeError("Environment in wrong status for call to observations()")
        picture = np.zeros((self._height, self._width, 3), np.uint8)
        for column in range(self._width):
            bearing = np.radians(self._yaw + 45 - 90 * (column + 0.5) / self._width)
            distance = 5.0
            while distance < 900 and not self._wall(
                self._pos[0] + distance * np.cos(bearing), self._pos[1] + distance * np.sin(bearing)
            ):
                distance += 40.0
            shade = int(255 / (1 + distance / 100))
            picture[:, column] = (shade, self._tint, 255 - shade)
        everything = {
            "RGB_INTERLEAVED": picture,
            "RGBD_INTERLEAVED": np.concatenate([picture, picture[..., :1]], 2),
            "RGB": picture.transpose(2, 0, 1),
            "VEL.TRANS": np.zeros(3),
            "VEL.ROT": np.zeros(3),
            "INSTR": "",
            "DEBUG.POS.TRANS": self._pos.copy(),
            "DEBUG.POS.ROT": np.array([0.0, self._yaw, 0.0]),
            "DEBUG.MAZE.LAYOUT": "".join(
                "".join("* "[not wall] for wall in row) + "\n" for row in self._walls
            ) if self._maze else "",
        }  # fmt: skip
        return {name: everything[name] for name in self._names}

    def events(self):
        return []

    def close(self):
        self._running = None

    def _wall(self, x, y):
        row, column = 8 - int(y // _CELL), int(x // _CELL)
        return not (0 <= row < 9 and 0 <= column < 9) or bool(self._walls[row, column])
