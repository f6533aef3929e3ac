"""The shortest way to the goal."""

from __future__ import annotations

from typing import Any

from simulators.explorers.steering import Route, cell_of, maze_env
from worldmodel_env.errors import InputError


class Goal:
    """Walks to the goal through the centres of cells, by breadth-first search."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode; the seed is not needed."""
        maze = maze_env(env)
        if maze.goal is None:
            raise InputError(
                'The policy "goal" needs a goal, which this episode does not have; '
                'make the environment with task="goal".'
            )
        here = cell_of(maze.maze, maze.pose)
        self._route = Route(maze.maze.path(here, maze.goal))

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action: 0 left, 1 right, 2 forward."""
        action = self._route.action(maze_env(env).maze, maze_env(env).pose)
        # Where the route ends the goal is reached, and with it the episode.
        assert action is not None
        return action
