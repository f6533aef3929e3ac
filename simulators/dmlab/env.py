"""`SimDMLab-v0`: DeepMind Lab, where the user has built it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulators.dmlab.actions import SETS, native_space
from simulators.dmlab.session import Moment, Session
from simulators.frames import (
    Frame,
    bad_action,
    check_choice,
    check_size,
    meanings,
    no_episode,
    pose,
)
from simulators.isolation import Isolated
from worldmodel_env.errors import InputError

_NAME = "SimDMLab-v0"
_SHIPPED = Path(__file__).parent / "levels"
PROCESSES = ("fresh", "own", "shared")


class DMLabEnv(gymnasium.Env[Frame, Any]):
    """A DeepMind Lab level: uint8 (size, size, 3), rendered at that size, without the HUD.

    Actions: "teco": 0 turn left, 1 turn right, 2 forward, as in DMLab-40k; "full": 14, those three
    first; "native": the engine's seven numbers, as MultiDiscrete. `action_meanings` names the
    discrete ones; each is held for `num_steps` frames of 30 a second.

    `info["pose"]` is float32 (x, y, heading): the engine's units (a maze cell is 100) to the east
    and the north, degrees counter-clockwise from the east; for levels with debug observations.
    `reset` adds `info["layout"]`, uint8, 1 where wall, row 0 at the north, for text mazes. Where
    an episode ends the engine shows nothing: the frame before is given again.

    An engine gives the same maze for a seed again, but not quite the same frames unless all that
    was played before in its process was the same too. So, with `process="fresh"`, each episode
    has a new process: same seed and actions, same bytes. "own" keeps one process, "shared" runs
    in this one; both are faster to reset, and neither promises that.

    Args:
        level: "teco_maze", which comes with this package, or a level of the engine's.
        size: Side of the frames in pixels.
        actions: "teco", "full" or "native".
        num_steps: Engine frames per action.
        process: "fresh", "own" or "shared".
        renderer: "software" or "hardware".
        config: More settings for the engine or the level, texts by name.
        render_mode: None or "rgb_array", the frame itself.

    Raises:
        InputError: An argument or an action out of its range, or `deepmind_lab` is missing.
        RuntimeError: The engine failed.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012
    cell = 100.0
    """Side of a cell of a text maze, in units of the pose."""

    def __init__(
        self,
        level: str = "teco_maze",
        size: int = 64,
        actions: str = "teco",
        num_steps: int = 4,
        process: str = "fresh",
        renderer: str = "software",
        config: Mapping[str, str] | None = None,
        render_mode: str | None = None,
    ):
        check_size(_NAME, size)
        check_choice(_NAME, "actions", actions, tuple(SETS))
        check_choice(_NAME, "process", process, PROCESSES)
        check_choice(_NAME, "renderer", renderer, ("software", "hardware"))
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        if num_steps < 1:
            raise InputError(f"{_NAME} got num_steps={num_steps}; give 1 or more.")
        self.render_mode, self.frame_skip = render_mode, num_steps
        self._process = process
        shipped = {"levelDirectory": str(_SHIPPED)} if (_SHIPPED / f"{level}.lua").exists() else {}
        # The engine takes texts only.
        settings = {"width": size, "height": size, "fps": 30, "minimalUI": "true"}
        self._kwargs: dict[str, Any] = {
            "level": level,
            "config": {
                name: str(value)
                for name, value in {**settings, **shipped, **(config or {})}.items()
            },
            "renderer": renderer,
        }
        self._meanings = SETS[actions]
        self.action_meanings = tuple(self._meanings or ())
        self.action_space = spaces.Discrete(len(self._meanings)) if self._meanings else (
            native_space()
        )  # fmt: skip
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self._session: Session | Isolated = self._start()
        self._used = False
        self._moment: Moment | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begins an episode that the seed fixes; `options` are not used."""
        super().reset(seed=seed)
        if self._process == "fresh" and self._used:
            self._session.close()
            self._session = self._start()
        self._used = True
        self._moment = self._call("begin", int(self.np_random.integers(2**31)))
        info = self._info()
        layout = _layout(self._moment.get("DEBUG.MAZE.LAYOUT", ""))
        return self._frame(), info if layout is None else {**info, "layout": layout}

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Holds an action for `num_steps` engine frames."""
        if self._moment is None:
            raise no_episode(_NAME)
        if not self.action_space.contains(action):
            raise bad_action(_NAME, action, self._expected())
        if self._meanings is None:
            native = [int(number) for number in action]
        else:
            native = list(self._meanings[self.action_meanings[int(action)]])
        reward, moment = self._call("act", native, self.frame_skip)
        self._moment = moment or self._moment
        return self._frame(), reward, moment is None, False, self._info()

    def render(self) -> Frame | None:  # type: ignore[override]
        """The last frame; None without a mode."""
        if self.render_mode is None:
            return None
        if self._moment is None:
            raise no_episode(_NAME)
        return self._frame()

    def close(self) -> None:
        """Ends the engine; may be called again."""
        self._session.close()
        self._moment = None

    def _start(self) -> Session | Isolated:
        if self._process == "shared":
            return Session(**self._kwargs)
        return Isolated("simulators.dmlab.session:Session", self._kwargs)

    def _call(self, method: str, *arguments: Any) -> Any:
        if isinstance(self._session, Isolated):
            return self._session.call(method, *arguments)
        return getattr(self._session, method)(*arguments)

    def _frame(self) -> Frame:
        assert self._moment is not None
        return np.array(self._moment["RGB_INTERLEAVED"], np.uint8)

    def _info(self) -> dict[str, Any]:
        assert self._moment is not None
        if "DEBUG.POS.TRANS" not in self._moment:
            return {}
        x, y, _ = self._moment["DEBUG.POS.TRANS"]
        _, yaw, _ = self._moment["DEBUG.POS.ROT"]
        return {"pose": pose(x, y, yaw)}

    def _expected(self) -> str:
        return meanings(self.action_meanings) if self._meanings else f"one of {self.action_space}"


def _layout(text: str) -> NDArray[np.uint8] | None:
    """The text of a maze, "*" for walls, as an array; None if there is none."""
    lines = text.strip("\n").split("\n")
    if not text.strip():
        return None
    width = max(map(len, lines))
    return np.array([[char == "*" for char in line.ljust(width)] for line in lines], np.uint8)
