"""Sees everything, and only then walks to the goal: a recording that knows the whole maze."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from simulators.explorers.look_around import LookAround
from simulators.explorers.steering import maze_env
from simulators.maze.layout import Cell, Maze


class Tour(LookAround):
    """`look-around`, shortly, to whom the goal is a wall until all other cells are visited."""

    STOPS = 0.04
    CIRCLES = 1

    def _map(self, env: Any, here: Cell) -> Maze:
        maze, goal = super()._map(env, here), maze_env(env).goal
        if goal is None:
            return maze
        walls = maze.walls.copy()
        walls[goal] = 1
        closed = replace(maze, walls=walls)
        return maze if self._visited >= closed.distances(here).keys() else closed
