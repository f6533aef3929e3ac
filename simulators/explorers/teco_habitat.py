"""The walk of Habitat-200k: shortest ways between waypoints, which are seen again."""

from __future__ import annotations

from typing import Any

import numpy as np

from worldmodel_env.errors import InputError

_POINTS = 8
"""Waypoints remembered, the start among them; from then on old ones are gone to."""
_TRIES = 100
_FARTHEST = 50
"""Of the points found in so many tries, one of so many farthest becomes the waypoint."""
_NEAREST, _MOST = 1.0, 15.0
"""Metres of the shortest way to a new waypoint."""
_SAME_FLOOR = 0.75
"""Probability that it must be on this floor."""
_FLOOR = 0.5
"""Metres of height within which it is."""
_REACHED = 0.2
"""Metres."""
_PATIENCE = 20
"""Waypoints tried for one action; a scene where none can be walked to is stood in, turning."""


class TecoHabitat:
    """Needs SimHabitat-v0, whose pathfinder it asks for points, distances and actions."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode."""
        self._env = env.unwrapped
        if not hasattr(getattr(self._env, "sim", None), "pathfinder"):
            raise InputError(
                'The policy "teco-habitat" asks Habitat\'s pathfinder for the way, which '
                f"{type(self._env).__name__} does not have; use SimHabitat-v0."
            )
        self._rng = np.random.default_rng(seed)
        self._points = [self._position()]
        self._goal: np.ndarray | None = None
        self._follower = self._env.sim.make_greedy_follower(0, _REACHED)

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The next action on the shortest way to the waypoint."""
        from habitat_sim.errors import GreedyFollowerError

        for _ in range(_PATIENCE):
            if self._goal is not None:
                try:
                    action = self._follower.next_action_along(self._goal)
                except GreedyFollowerError:
                    action = None  # no way from here
                if action is not None:
                    return self._env._keys.index(action)
            self._goal = self._next_goal()
        return self._env._keys.index("turn_left")

    def _next_goal(self) -> np.ndarray:
        if len(self._points) < _POINTS:
            new = self._new_point()
            if new is not None:
                self._points.append(new)
                return new
        return self._points[int(self._rng.integers(len(self._points)))]

    def _new_point(self) -> np.ndarray | None:
        here, finder = self._position(), self._env.sim.pathfinder
        same_floor = self._rng.random() < _SAME_FLOOR
        found = []
        for number in range(_TRIES):
            point = np.asarray(finder.get_random_navigable_point(), np.float32)
            if same_floor and not abs(point[1] - here[1]) <= _FLOOR:
                continue
            distance = self._distance(here, point)
            if _NEAREST <= distance <= _MOST:
                found.append((distance, number, point))
        if not found:
            return None
        farthest = sorted(found, key=lambda entry: entry[:2])[-_FARTHEST:]
        return farthest[int(self._rng.integers(len(farthest)))][2]

    def _distance(self, start: np.ndarray, end: np.ndarray) -> float:
        """Metres of the shortest way; infinite where there is none."""
        import habitat_sim

        path = habitat_sim.ShortestPath()
        path.requested_start, path.requested_end = start, end
        return float(path.geodesic_distance) if self._env.sim.pathfinder.find_path(path) else np.inf

    def _position(self) -> np.ndarray:
        return np.array(self._env.sim.get_agent(0).get_state().position, np.float32)
