"""`SimDoom-v0`: any ViZDoom scenario, its own or yours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from simulators.doom.game import new_game, quieten, reported, start
from simulators.frames import (
    Frame,
    bad_action,
    check_choice,
    check_size,
    fit,
    meanings,
    no_episode,
    pose,
)
from worldmodel_env.errors import InputError

_NAME = "SimDoom-v0"
ACTIONS = ("discrete", "native")
_TURN = 10.0
"""Degrees (or units) that a discrete action moves a DELTA button, per tic of the frame skip."""


class DoomEnv(gymnasium.Env[Frame, Any]):
    """A ViZDoom scenario: the screen, squeezed to uint8 (size, size, 3).

    Actions, `actions="discrete"`: 0 does nothing, each other one presses one button of the
    scenario alone (a DELTA button counts twice, minus and plus); `action_meanings` names them.
    `actions="native"`: Box float32 (buttons,), a button is pressed above 0.5, a DELTA button takes
    its value, -180..180.

    `info["pose"]` is float32 (x, y, heading): the engine's map units and degrees
    counter-clockwise from the east. Same seed and actions give the same bytes, whatever was played
    before. Where an episode ends the engine shows nothing: the frame before is given again.

    Args:
        scenario: Name of a scenario that comes with ViZDoom ("my_way_home"), or path of a .cfg.
        size: Side of the frames in pixels.
        frame_skip: Tics (of 35 a second) per action.
        actions: "discrete" or "native".
        render_mode: None or "rgb_array" (240 x 320).

    Raises:
        InputError: An argument or an action out of its range, or a missing package.
        RuntimeError: The engine died.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 9}  # noqa: RUF012

    def __init__(
        self,
        scenario: str = "my_way_home",
        size: int = 64,
        frame_skip: int = 4,
        actions: str = "discrete",
        render_mode: str | None = None,
    ):
        check_size(_NAME, size)
        check_choice(_NAME, "actions", actions, ACTIONS)
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        if frame_skip < 1:
            raise InputError(f"{_NAME} got frame_skip={frame_skip}; give 1 or more.")
        self.render_mode, self.frame_skip = render_mode, frame_skip
        self._size = size
        self._game = _configured(scenario)
        self._running = False
        buttons = self._game.get_available_buttons()
        self._discrete = _one_at_a_time(buttons, _TURN * frame_skip)
        self.action_meanings = tuple(self._discrete)
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self._box = _native(buttons) if actions == "native" else None
        self.action_space = self._box or spaces.Discrete(len(self._discrete))
        self._screen: Frame | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begins an episode that the seed fixes; `options` are not used."""
        super().reset(seed=seed)
        self._game.set_seed(int(self.np_random.integers(2**32)))
        if not self._running:
            start(self._game)
            self._running = True
            # Starting has begun an episode already, but not one that a seed alone fixes.
            self._game.set_seed(int(self._game.get_seed()))
        with reported("begin an episode"):
            self._game.new_episode()
        self._screen = None
        return self._look()

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Holds the action's buttons for `frame_skip` tics."""
        if self._screen is None:
            raise no_episode(_NAME)
        if not self.action_space.contains(action):
            raise bad_action(_NAME, action, self._expected())
        if self._box is None:
            pressed = self._discrete[self.action_meanings[int(action)]]
        else:
            pressed = np.where(self._box.high > 1, action, action > 0.5).tolist()
        with reported("take a step"):
            reward = self._game.make_action(pressed, self.frame_skip)
            finished = self._game.is_episode_finished()
        frame, info = self._look()
        return frame, float(reward), bool(finished), False, info

    def render(self) -> Frame | None:  # type: ignore[override]
        """The engine's screen, uint8 (240, 320, 3); None without a mode."""
        if self.render_mode is None:
            return None
        if self._screen is None:
            raise no_episode(_NAME)
        return self._screen.copy()

    def close(self) -> None:
        """Ends the engine's process; may be called again."""
        self._game.close()
        self._running, self._screen = False, None

    def _look(self) -> tuple[Frame, dict[str, Any]]:
        import vizdoom

        place = vizdoom.GameVariable
        with reported("render a frame"):
            state = self._game.get_state()
            x, y, angle = (
                self._game.get_game_variable(name)
                for name in (place.POSITION_X, place.POSITION_Y, place.ANGLE)
            )
        if state is not None:
            self._screen = state.screen_buffer.copy()
        assert self._screen is not None
        return fit(self._screen, self._size), {"pose": pose(x, y, angle)}

    def _expected(self) -> str:
        if self._box is None:
            return meanings(self.action_meanings)
        return f"float32 from {self._box.low.tolist()} to {self._box.high.tolist()}"


def _configured(scenario: str) -> Any:
    game = new_game(_NAME)
    import vizdoom

    shipped = Path(vizdoom.scenarios_path)
    path = shipped / f"{scenario}.cfg" if not scenario.endswith(".cfg") else Path(scenario)
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in shipped.glob("*.cfg")))
        raise InputError(
            f"{_NAME} knows no scenario {scenario!r}: give the path of a .cfg file or one of "
            f"{names}."
        )
    try:
        with reported(f"read {path}"):
            game.load_config(str(path))
    except (RuntimeError, vizdoom.FileDoesNotExistException) as error:
        raise InputError(f"{_NAME} cannot use the scenario {path} ({error}): mend it.") from error
    quieten(game)
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_320X240)
    if not game.get_available_buttons():
        raise InputError(f"{_NAME} finds no available_buttons in {path}: name some there.")
    return game


def _one_at_a_time(buttons: list[Any], turn: float) -> dict[str, list[float]]:
    """What each discrete action presses, by its name."""
    import vizdoom

    actions = {"nothing": [0.0] * len(buttons)}
    for number, button in enumerate(buttons):
        name = button.name.lower().replace("_", " ")
        values = {name: 1.0}
        if vizdoom.is_delta_button(button):
            values = {f"{name} -": -turn, f"{name} +": turn}
        for meaning, value in values.items():
            actions[meaning] = [0.0] * number + [value] + [0.0] * (len(buttons) - number - 1)
    return actions


def _native(buttons: list[Any]) -> spaces.Box:
    import vizdoom

    delta = np.array([vizdoom.is_delta_button(button) for button in buttons])
    return spaces.Box(
        np.where(delta, -180, 0).astype(np.float32), np.where(delta, 180, 1).astype(np.float32)
    )
