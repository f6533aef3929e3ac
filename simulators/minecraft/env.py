"""`SimMinecraft-v0`: Minecraft through MineRL 0.4 or 1.0, in the interpreter that has it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

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
from simulators.minecraft.game import Game
from worldmodel_env.errors import InputError

_NAME = "SimMinecraft-v0"
_TURN = 20.0
"""Degrees of a turn."""

Keys = dict[str, Any]

TECO: dict[str, Keys] = {
    "forward": {"forward": 1, "jump": 1},
    "turn left": {"jump": 1, "camera": [0.0, -_TURN]},
    "turn right": {"jump": 1, "camera": [0.0, _TURN]},
}
"""The three of Minecraft-200k, in its order (it stores 1, 2, 3: its 0 stands before frame 0)."""

FULL: dict[str, Keys] = {
    **TECO,
    "walk": {"forward": 1},
    "sprint": {"forward": 1, "sprint": 1},
    "back": {"back": 1},
    "left": {"left": 1},
    "right": {"right": 1},
    "look left": {"camera": [0.0, -_TURN]},
    "look right": {"camera": [0.0, _TURN]},
    "look up": {"camera": [-_TURN, 0.0]},
    "look down": {"camera": [_TURN, 0.0]},
    "jump": {"jump": 1},
    "sneak": {"sneak": 1},
    "attack": {"attack": 1},
    "nothing": {},
}

SETS = {"teco": TECO, "full": FULL}


class MinecraftEnv(gymnasium.Env[Frame, Any]):
    """Minecraft as the player sees it: `pov`, scaled to uint8 (size, size, 3).

    Actions: "teco": 0 forward, 1 turn left, 2 turn right (by 20 degrees), jumping all the while;
    "full": 16, those three first. `action_meanings` names them. Twenty a second.

    Where MineRL tells the player's location, `info["pose"]` is float32 (x, y, heading): blocks to
    the east and the north, degrees counter-clockwise from the east. Where it does not, there is no
    pose, but `info["heading"]` (from the start, counter-clockwise) and `info["pitch"]` (up is
    positive) in degrees, added up from the actions.

    The seed picks the world, but the game runs on while it is asked: same seed and actions give
    the same world and not the same frames. An end that is no time limit terminates.

    Args:
        level: "marsh", the swamp of Minecraft-200k (MineRL 0.4), or an id that MineRL registers,
            such as "MineRLNavigate-v0" or, of 1.0, "MineRLBasaltFindCave-v0".
        size: Side of the frames in pixels; "marsh" is rendered at it.
        actions: "teco" or "full".
        python: The interpreter that has MineRL; this one if empty.
        fake: MineRL's own stand-in for the game instead of a level, for tests.
        render_mode: None or "rgb_array", the frame itself.

    Raises:
        InputError: An argument or an action out of its range, or MineRL is missing.
        RuntimeError: The game or the connection to it died.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        level: str = "marsh",
        size: int = 128,
        actions: str = "teco",
        python: str = "",
        fake: bool = False,
        render_mode: str | None = None,
    ):
        check_size(_NAME, size)
        check_choice(_NAME, "actions", actions, tuple(SETS))
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        self.render_mode, self._size = render_mode, size
        self._keys = SETS[actions]
        self.action_meanings = tuple(self._keys)
        self.action_space = spaces.Discrete(len(self._keys))
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self._game = Game(python, level, size, fake)
        unknown = {key for keys in self._keys.values() for key in keys} - set(self._game.actions)
        if unknown:
            self._game.close()
            raise InputError(
                f"{level} takes no {', '.join(sorted(unknown))}, which actions={actions!r} needs: "
                "use the other set or another level."
            )
        self._frame: Frame | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begins an episode in the world that the seed picks; takes seconds to minutes."""
        super().reset(seed=seed)
        self._yaw = self._pitch = 0.0
        answer, frame = self._game.ask("reset", seed=int(self.np_random.integers(2**31)))
        return self._see(frame), self._info(answer)

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """One tick of the game."""
        if self._frame is None:
            raise no_episode(_NAME)
        if not self.action_space.contains(action):
            raise bad_action(_NAME, action, meanings(self.action_meanings))
        keys = self._keys[self.action_meanings[int(action)]]
        pitch, yaw = keys.get("camera", (0.0, 0.0))
        answer, frame = self._game.ask("step", action=keys)
        if answer["error"]:
            # MineRL then gives a random picture and ends the episode as if nothing were wrong.
            self._frame = None
            raise RuntimeError(f"MineRL lost the game ({answer['error']}): reset the environment")
        self._yaw += yaw
        self._pitch = float(np.clip(self._pitch + pitch, -90, 90))
        limit = bool(answer["done"] and answer["limit"])
        ended = bool(answer["done"]) and not limit
        return self._see(frame), float(answer["reward"]), ended, limit, self._info(answer)

    def render(self) -> Frame | None:  # type: ignore[override]
        """The last frame; None without a mode."""
        if self.render_mode is None:
            return None
        if self._frame is None:
            raise no_episode(_NAME)
        return self._frame.copy()

    def close(self) -> None:
        """Ends the game; may be called again."""
        self._game.close()
        self._frame = None

    def _see(self, frame: Frame | None) -> Frame:
        assert frame is not None
        self._frame = fit(frame, self._size)
        return self._frame.copy()

    def _info(self, answer: dict[str, Any]) -> dict[str, Any]:
        place = answer["location"]
        if place is None:
            return {"heading": -self._yaw % 360.0, "pitch": -self._pitch}
        # Minecraft's yaw is 0 to the south and grows clockwise; z grows to the south.
        return {
            "pose": pose(place["xpos"], -place["zpos"], 270.0 - place["yaw"]),
            "pitch": -place["pitch"],
        }
