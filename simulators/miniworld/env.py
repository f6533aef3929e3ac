"""`SimMiniWorld-v0`: the rooms and mazes of MiniWorld."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from simulators.frames import (
    Frame,
    bad_action,
    check_choice,
    check_size,
    meanings,
    no_episode,
    one_thread_for_mesa,
    pose,
)
from worldmodel_env.errors import InputError

_NAME = "SimMiniWorld-v0"
_SYSTEM = "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri libglu1-mesa"


class MiniWorldEnv(gymnasium.Env[Frame, Any]):
    """A MiniWorld environment, seen by its agent: uint8 (size, size, 3), rendered at that size.

    Actions are the environment's: always 0 turn left, 1 turn right, 2 forward; some have more
    (3 back, 4 pick up, 5 drop, 6 toggle, 7 complete). `action_meanings` names them. Rewards and
    ends are the environment's own.

    `info["pose"]` is float32 (x, y, heading): MiniWorld's units to the east (its x) and the north
    (its -z), degrees counter-clockwise from the east. Same seed and actions give the same bytes,
    whatever was played before, on the same graphics driver.

    Args:
        level: Name between "MiniWorld-" and "-v0": "Maze", "FourRooms", "PickupObjects", ...
        size: Side of the frames in pixels.
        render_mode: None or "rgb_array" (the agent's view, 800 x 600).
        **kwargs: For the environment, such as num_rows=4.

    Raises:
        InputError: An argument or an action out of its range, or a missing package or library.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self, level: str = "Maze", size: int = 64, render_mode: str | None = None, **kwargs: Any
    ):
        check_size(_NAME, size)
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        self.render_mode = render_mode
        self._env = _make(level, {**kwargs, "obs_width": size, "obs_height": size})
        actions = int(self._env.action_space.n)
        names = [action.name for action in self._env.unwrapped.actions][:actions]
        self.action_meanings = tuple(name.removeprefix("move_").replace("_", " ") for name in names)
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Discrete(actions)
        self._playing = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begins an episode that the seed fixes; `options` are not used."""
        super().reset(seed=seed)
        # Its own generator is seeded by ours, so that a reset without a seed goes on from ours.
        frame, _ = self._env.reset(seed=int(self.np_random.integers(2**31)))
        self._playing = True
        return np.ascontiguousarray(frame), self._info()

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Takes an action; see the class."""
        if not self._playing:
            raise no_episode(_NAME)
        if not self.action_space.contains(action):
            raise bad_action(_NAME, action, meanings(self.action_meanings))
        frame, reward, terminated, truncated, _ = self._env.step(int(action))
        ended = bool(terminated), bool(truncated)
        return np.ascontiguousarray(frame), float(reward), *ended, self._info()

    def render(self) -> Frame | None:  # type: ignore[override]
        """The agent's view at 600 x 800; None without a mode."""
        if self.render_mode is None:
            return None
        if not self._playing:
            raise no_episode(_NAME)
        return np.asarray(self._env.unwrapped.render_obs(self._env.unwrapped.vis_fb))

    def close(self) -> None:
        """Ends the environment; its graphics context lives as long as the process."""
        self._playing = False

    def _info(self) -> dict[str, Any]:
        agent = self._env.unwrapped.agent
        return {"pose": pose(agent.pos[0], -agent.pos[2], math.degrees(agent.dir))}


def _make(level: str, kwargs: dict[str, Any]) -> Any:
    if not os.environ.get("DISPLAY") and sys.platform.startswith("linux"):
        os.environ.setdefault("PYGLET_HEADLESS", "1")  # pyglet then draws through EGL
    one_thread_for_mesa()
    try:
        import miniworld  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError(
            f"{_NAME} needs the package {error.name}, which is not installed: "
            'pip install "worldmodel-env[miniworld]".'
        ) from error
    except ImportError as error:  # pyglet does not find a library
        raise InputError(f"{_NAME} finds no OpenGL ({error}): {_SYSTEM}.") from error
    env_id = f"MiniWorld-{level}-v0"
    if env_id not in gymnasium.registry:
        known = [name[10:-3] for name in gymnasium.registry if name.startswith("MiniWorld-")]
        raise InputError(f"{_NAME} knows no level {level!r}: use one of {', '.join(known)}.")
    try:
        with contextlib.redirect_stdout(sys.stderr):  # it tells how many samples it takes
            return gymnasium.make(env_id, disable_env_checker=True, **kwargs).unwrapped
    except TypeError as error:
        raise InputError(f"{_NAME} cannot make {env_id}: {error}.") from error
    except Exception as error:
        if type(error).__module__.startswith("pyglet"):
            raise InputError(
                f"{_NAME} cannot open a display ({error or type(error).__name__}): {_SYSTEM}, or "
                "run under xvfb-run."
            ) from error
        raise
