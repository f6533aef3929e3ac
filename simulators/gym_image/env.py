"""`SimGym-v0`: any Gymnasium environment that shows pictures, as frames of one size."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from simulators.frames import Frame, check_choice, check_size, fit
from simulators.gym_image.pictures import find_picture
from worldmodel_env.errors import InputError

_NAME = "SimGym-v0"
SOURCES = ("auto", "observation", "render")


class GymImageEnv(gymnasium.Env[Frame, Any]):
    """Another environment, its picture scaled to uint8 (size, size, 3).

    The picture is the observation where that is one (uint8, grey or RGB, channels first or last;
    or the only picture in a Dict), else what the environment renders. Actions, rewards and ends
    are the environment's own, except that MultiBinary actions become MultiDiscrete. An
    `info["pose"]` of three numbers is passed on. Seeding is as good as the environment's.

    Args:
        env_id: Gymnasium id, or "module:id" for one that a module registers when imported.
        size: Side of the frames in pixels.
        source: "observation", "render", or "auto": the observation if it is a picture.
        frame_skip: How often each action is repeated; rewards are added up.
        max_steps: Time limit in actions of the environment itself, instead of its own.
        render_mode: None or "rgb_array", the environment's own.
        **kwargs: For the environment.

    Raises:
        InputError: The environment cannot be made, or has no picture.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012

    def __init__(
        self,
        env_id: str,
        size: int = 64,
        source: str = "auto",
        frame_skip: int = 1,
        max_steps: int | None = None,
        render_mode: str | None = None,
        **kwargs: Any,
    ):
        check_size(_NAME, size)
        check_choice(_NAME, "source", source, SOURCES)
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        if frame_skip < 1:
            raise InputError(f"{_NAME} got frame_skip={frame_skip}; give 1 or more.")
        self.render_mode = render_mode
        self._id, self._size, self._repeat = env_id, size, frame_skip
        if max_steps is not None:
            kwargs["max_episode_steps"] = max_steps * frame_skip
        self._env = _make(env_id, render_mode, kwargs)
        self._picture = None if source == "render" else find_picture(self._env.observation_space)
        if self._picture is None:
            if source == "observation":
                self._env.close()
                raise InputError(
                    f"{env_id} observes {self._env.observation_space}, which holds no single "
                    'picture; use source="render", or wrap it first.'
                )
            if render_mode is None:
                self._env.close()
                self._env = _make(env_id, "rgb_array", kwargs)
        inner_skip = getattr(self._env.unwrapped, "frame_skip", 1)
        self.frame_skip = frame_skip * (inner_skip if isinstance(inner_skip, int) else 1)
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = _storable(self._env.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Resets the environment with the same seed and options."""
        super().reset(seed=seed)
        observation, info = self._env.reset(seed=seed, options=options)
        return self._frame(observation), _checked(info)

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Takes an action `frame_skip` times, or until the episode ends."""
        if not self.action_space.contains(action):
            raise InputError(f"{_NAME} got the action {action!r}; give one of {self.action_space}.")
        own = self._env.action_space
        if isinstance(own, spaces.MultiBinary | spaces.Box):
            action = np.asarray(action, own.dtype).reshape(own.shape)
        total = 0.0
        for _ in range(self._repeat):
            observation, reward, terminated, truncated, info = self._env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return self._frame(observation), total, bool(terminated), bool(truncated), _checked(info)

    def render(self) -> Frame | None:  # type: ignore[override]
        """What the environment renders, at its own size; None without a mode."""
        return None if self.render_mode is None else self._rendered()

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()

    @property
    def inner(self) -> gymnasium.Env:
        """The environment that is wrapped."""
        return self._env

    def _frame(self, observation: Any) -> Frame:
        picture = self._rendered() if self._picture is None else self._picture(observation)
        return fit(picture, self._size)

    def _rendered(self) -> Frame:
        frame = self._env.render()
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3:
            got = f"{frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else repr(frame)
            raise InputError(
                f"{self._id} renders {got}, not a uint8 picture (H, W, 3): give it a render mode "
                '"rgb_array" or picture observations.'
            )
        return frame[..., :3]


def _make(env_id: str, render_mode: str | None, kwargs: dict[str, Any]) -> gymnasium.Env:
    try:
        return gymnasium.make(env_id, render_mode=render_mode, disable_env_checker=True, **kwargs)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{env_id} cannot be made ({reason}): install or mend it.") from error


def _storable(space: spaces.Space) -> spaces.Space:
    """The action space as a data set can hold it; kinds that it cannot are left to the recorder."""
    if isinstance(space, spaces.MultiBinary) and isinstance(space.n, int):
        return spaces.MultiDiscrete([2] * space.n)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        return spaces.Box(low, high, dtype=np.float32)
    return space


def _checked(info: dict[str, Any]) -> dict[str, Any]:
    """`info` without a "pose" that is none in this project's sense."""
    if "pose" not in info or np.shape(info["pose"]) == (3,):
        return info
    return {name: value for name, value in info.items() if name != "pose"}
