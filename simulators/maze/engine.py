"""The ViZDoom engine as a camera: it loads a maze, puts the goal and the player, and renders.

Positions come from `motion`; the engine only warps the player there and turns it. So no momentum,
no view bob and no drift can enter the frames.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from simulators.doom.game import new_game, reported, start
from simulators.maze.cache import pool_path
from simulators.maze.motion import HEADINGS, TURN, Pose
from simulators.maze.wad import GOAL_CLASS, GOAL_RADIUS
from worldmodel_env.errors import InputError

SCREEN = 192
"""Side of the square that is cut from the middle of the engine's 256x192 screen."""
_PLAYER_RADIUS = 16
_SETTLING_TICS = 20
"""A spawned player ignores its controls for a while; these tics pass before the first frame."""
_FIELD_OF_VIEW = 106.26
"""Degrees across 256 columns: 90 across the middle 192."""
_ARGUMENTS = "+movebob 0 +sv_cheats 1"


class Engine:
    """One running ViZDoom process with the pool of one maze size."""

    def __init__(self, size: int):
        self._game = game = new_game("SimMaze-v0")
        import vizdoom

        try:
            import cv2
        except ImportError as error:
            raise InputError(
                "SimMaze-v0 needs the package cv2, which is not installed: pip install "
                '"worldmodel-env[maze]".'
            ) from error
        self._resize = functools.partial(cv2.resize, interpolation=cv2.INTER_AREA)
        self._position: tuple[int, int] | None = None
        self._heading = 0
        game.set_doom_scenario_path(str(pool_path(size)))
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_256X192)
        for part in ("hud", "weapon", "crosshair", "decals", "particles", "messages"):
            getattr(game, f"set_render_{part}")(False)
        game.set_render_effects_sprites(False)
        game.set_render_screen_flashes(False)
        game.set_available_buttons([vizdoom.Button.TURN_LEFT_RIGHT_DELTA])
        game.set_available_game_variables([])
        game.add_game_args(_ARGUMENTS)
        start(game)

    def load(self, map_name: str, pose: Pose, goal: tuple[int, int] | None) -> None:
        """Begins an episode in a maze, the player at `pose`, the goal (if any) at (x, y)."""
        game = self._game
        with reported(f"load the maze {map_name}"):
            game.set_seed(0)
            game.set_doom_map(map_name)
            game.new_episode()
            game.send_game_command(f"fov {_FIELD_OF_VIEW}")
            game.set_action([0])
            game.advance_action(_SETTLING_TICS, False)
            if goal is not None:
                # `summon` puts an actor this far before the player, who still looks to the east.
                x, y = goal
                self._warp(x - 2 * GOAL_RADIUS - _PLAYER_RADIUS, y)
                game.send_game_command(f"summon {GOAL_CLASS}")
                game.advance_action(2, False)
        self._position, self._heading = None, 0
        self.show(pose)

    def show(self, pose: Pose) -> None:
        """Moves the player to `pose` and renders there; takes a tic, two when the place changes."""
        turns = (pose.heading - self._heading + HEADINGS // 2) % HEADINGS - HEADINGS // 2
        with reported("render a frame"):
            if (pose.x, pose.y) != self._position:
                self._warp(pose.x, pose.y)
            # The button turns right.
            self._game.make_action([-turns * TURN])
            state = self._game.get_state()
        if state is None:
            raise RuntimeError("ViZDoom gave no frame: reset the environment.")
        self._position, self._heading = (pose.x, pose.y), pose.heading
        left = (state.screen_buffer.shape[1] - SCREEN) // 2
        self._screen: NDArray[np.uint8] = state.screen_buffer[:, left : left + SCREEN]

    @property
    def screen(self) -> NDArray[np.uint8]:
        """What the player sees, uint8 (192, 192, 3)."""
        return self._screen

    def view(self, side: int) -> NDArray[np.uint8]:
        """The screen scaled down by area, uint8 (side, side, 3)."""
        return np.asarray(self._resize(self._screen, (side, side)))

    def variables(self, *names: str) -> list[float]:
        """What the engine itself knows, by ViZDoom's names: POSITION_X, POSITION_Y, ANGLE, ..."""
        import vizdoom

        return [self._game.get_game_variable(getattr(vizdoom.GameVariable, n)) for n in names]

    def _warp(self, x: int, y: int) -> None:
        self._game.send_game_command(f"warp {x} {y}")
        # The eyes take their height again one tic later.
        self._game.set_action([0])
        self._game.advance_action(1, False)

    def close(self) -> None:
        """Ends the engine's process."""
        self._game.close()
