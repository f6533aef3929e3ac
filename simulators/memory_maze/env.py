"""`SimMemoryMaze-v0`: Memory Maze, where coloured balls must be found again and again."""

from __future__ import annotations

import math
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
    pose,
)
from simulators.memory_maze.task import SIZES, load_tasks, make_task

_NAME = "SimMemoryMaze-v0"


class MemoryMazeEnv(gymnasium.Env[Frame, Any]):
    """A Memory Maze task as published, without old gym: uint8 (size, size, 3).

    The frame's border shows the colour of the ball to go to; touching that ball gives +1 and
    changes the colour. Actions: 0 nothing, 1 forward, 2 left, 3 right, 4 forward and left,
    5 forward and right; four a second.

    `info["pose"]` is float32 (x, y, heading): cells to the east and the north of the south-west
    corner of the inner maze, degrees counter-clockwise from the east. `reset` adds
    `info["layout"]`, uint8 (cells, cells), 1 where wall, row 0 at the north, border left out, and
    every info has `info["target"]`, float32 (x, y) of the ball to go to.

    Same seed and actions give the same bytes, whatever was played before, on the same graphics
    driver: a seed makes a fresh simulation, which takes about a second.

    Args:
        cells: Inner cells along one edge: 9, 11, 13 or 15.
        size: Side of the frames in pixels.
        render_mode: None or "rgb_array", the frame itself.

    Raises:
        InputError: An argument or an action out of its range, or a missing package or library.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012
    action_meanings = (
        "nothing", "forward", "left", "right", "forward and left", "forward and right",
    )  # fmt: skip

    def __init__(self, cells: int = 9, size: int = 64, render_mode: str | None = None):
        check_choice(_NAME, "cells", cells, SIZES)
        check_size(_NAME, size)
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        load_tasks()  # what is missing is told here, not at the first reset
        self.render_mode = render_mode
        self._cells, self._size = cells, size
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Discrete(len(self.action_meanings))
        self._task: Any = None
        self._frame: Frame | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begins an episode that the seed fixes; `options` are not used."""
        super().reset(seed=seed)
        self.close()
        self._task = make_task(self._cells, int(self.np_random.integers(2**31)), self._size)
        observation = self._task.reset().observation
        layout = np.flip(1 - observation["maze_layout"], 0).astype(np.uint8)
        return self._look(observation), {**_info(observation), "layout": layout}

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """A quarter of a second; see the class for actions and returns."""
        if self._task is None:
            raise no_episode(_NAME)
        if not self.action_space.contains(action):
            raise bad_action(_NAME, action, meanings(self.action_meanings))
        moment = self._task.step(int(action))
        # The task ends by its own clock alone, which is a time limit.
        frame = self._look(moment.observation)
        return frame, float(moment.reward), False, moment.last(), _info(moment.observation)

    def render(self) -> Frame | None:  # type: ignore[override]
        """The last frame; None without a mode."""
        if self.render_mode is None:
            return None
        if self._frame is None:
            raise no_episode(_NAME)
        return self._frame.copy()

    def close(self) -> None:
        """Ends the simulation; may be called again."""
        if self._task is not None:
            self._task.close()
        self._task = self._frame = None

    def _look(self, observation: dict[str, Any]) -> Frame:
        self._frame = np.array(observation["image"], np.uint8)
        return self._frame.copy()


def _info(observation: dict[str, Any]) -> dict[str, Any]:
    (x, y), (east, north) = observation["agent_pos"], observation["agent_dir"]
    return {
        "pose": pose(x, y, math.degrees(math.atan2(north, east))),
        "target": np.array(observation["target_pos"], np.float32),
    }
