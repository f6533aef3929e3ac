"""`SimMaze-v0`: random mazes in ViZDoom with exact motion, after TECO's DMLab recipe."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from simulators.maze import motion
from simulators.maze.engine import Engine
from simulators.maze.layout import Cell, Maze
from simulators.maze.motion import Pose
from simulators.maze.pools import POOLS, SIZES, SPLITS, pool_maze
from simulators.maze.wad import map_name
from worldmodel_env.errors import InputError

TASKS = ("goal", "explore")
RESOLUTION = 64
TOUCH = 40
"""The goal is reached when the player's centre is this near to its own, in units."""
_JITTER = 24
"""A start lies at most this far from its cell's centre, along either axis, in units."""

Observation = NDArray[np.uint8]


class MazeEnv(gymnasium.Env[Observation, np.int64]):
    """A walk through a maze seen from within.

    Observations are uint8 (64, 64, 3), 90 degrees wide and high. Actions: 0 turns left and 1 turns
    right by 22.5 degrees, 2 steps 24 units forward (a cell is 96 wide) and slides along walls.

    `info["pose"]` is float32 (x, y, heading): units to the east and the north of the maze's
    south-west corner, and degrees counter-clockwise from the east, in [0, 360). `reset` adds
    `info["layout"]`, uint8 (size, size), 1 where wall, row 0 at the north, and, where there is a
    goal, `info["goal"]`, int64 (row, column). Scripted policies read the same from the attributes
    `maze`, `pose` and `goal`.

    The seed picks maze, start and goal; an episode depends on nothing else.

    Args:
        size: Cells along one edge with the border: 5, 7 or 9.
        task: "goal": reaching the goal gives +1 and terminates. "explore": no goal, no reward, no
            termination.
        split: "train", "validation" or "test": which of the disjoint pools mazes come from.
        render_mode: None or "rgb_array" (192x192).

    Raises:
        InputError: an argument or an action out of its range, or a missing package.
        RuntimeError: the engine died.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        size: int = 9,
        task: str = "goal",
        split: str = "train",
        render_mode: str | None = None,
    ):
        for name, value, choices in (
            ("size", size, SIZES),
            ("task", task, TASKS),
            ("split", split, SPLITS),
            ("render_mode", render_mode, (None, "rgb_array")),
        ):
            if value not in choices:
                expected = ", ".join(map(repr, choices))
                raise InputError(f"SimMaze-v0 got {name}={value!r}; choose one of {expected}.")
        self.observation_space = spaces.Box(0, 255, (RESOLUTION, RESOLUTION, 3), np.uint8)
        self.action_space = spaces.Discrete(3)
        self.render_mode = render_mode
        self._size, self._task, self._split = size, task, split
        self._engine: Engine | None = None
        self._episode: tuple[Maze, Pose, Cell | None] | None = None

    @property
    def maze(self) -> Maze:
        """The maze of the present episode."""
        return self._present()[1]

    @property
    def pose(self) -> Pose:
        """Where the player stands and looks."""
        return self._present()[2]

    @property
    def goal(self) -> Cell | None:
        """The goal's cell (row, column); None without a goal."""
        return self._present()[3]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begins an episode in a maze that the seed picks; `options` are not used."""
        super().reset(seed=seed)
        index = int(self.np_random.integers(POOLS[self._split]))
        maze = pool_maze(self._size, self._split, index)
        start, goal = self._start_and_goal(maze)
        pose = self._starting_pose(maze, start)
        if self._engine is None:
            self._engine = Engine(self._size)
        goal_point = None if goal is None else maze.centre(goal)
        self._engine.load(map_name(self._split, index), pose, goal_point)
        self._episode = (maze, pose, goal)
        info: dict[str, Any] = {"pose": pose.array(), "layout": maze.walls.copy()}
        if goal is not None:
            info["goal"] = np.array(goal, np.int64)
        return self._engine.view(RESOLUTION), info

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Turns or steps; see the class for actions and returns."""
        engine, maze, pose, goal = self._present()
        if not self.action_space.contains(action):
            raise InputError(
                f"SimMaze-v0 got the action {action!r}; give 0 (turn left), 1 (turn right) or "
                "2 (forward)."
            )
        pose = motion.move(maze, pose, int(action))
        engine.show(pose)
        self._episode = (maze, pose, goal)
        reached = goal is not None and _near(pose, maze.centre(goal))
        view = engine.view(RESOLUTION)
        return view, float(reached), reached, False, {"pose": pose.array()}

    def render(self) -> Observation | None:  # type: ignore[override]
        """The frame at the engine's own resolution, uint8 (192, 192, 3); None without a mode."""
        if self.render_mode is None:
            return None
        return self._present()[0].screen.copy()

    def close(self) -> None:
        """Ends the engine's process; may be called again."""
        if self._engine is not None:
            self._engine.close()
        self._engine = self._episode = None

    def _present(self) -> tuple[Engine, Maze, Pose, Cell | None]:
        if self._engine is None or self._episode is None:
            raise InputError("SimMaze-v0 has no episode yet; call reset() first.")
        return self._engine, *self._episode

    def _start_and_goal(self, maze: Maze) -> tuple[Cell, Cell | None]:
        """A start anywhere, and a goal at least half as far as the farthest cell."""
        cells = maze.free_cells()
        start = cells[int(self.np_random.integers(len(cells)))]
        if self._task == "explore":
            return start, None
        distance = maze.distances(start)
        enough = max(distance.values()) / 2
        far = [cell for cell in cells if distance.get(cell, 0) >= enough]
        return start, far[int(self.np_random.integers(len(far)))]

    def _starting_pose(self, maze: Maze, start: Cell) -> Pose:
        x, y = maze.centre(start)
        east, north = self.np_random.integers(-_JITTER, _JITTER, 2, endpoint=True)
        heading = int(self.np_random.integers(motion.HEADINGS))
        return Pose(x + int(east), y + int(north), heading)


def _near(pose: Pose, point: tuple[int, int]) -> bool:
    return math.hypot(pose.x - point[0], pose.y - point[1]) <= TOUCH
