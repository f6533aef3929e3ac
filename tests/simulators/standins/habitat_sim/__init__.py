"""A stand-in for habitat_sim: the parts of its API that the adapter uses, over one square room.

Names, shapes, dtypes, axes (y up, the camera looks along -z) and failure modes are the library's.
The room is 12 m wide; a box of 4 m stands in its middle, so that some ways lead round it.
"""

from types import SimpleNamespace

import numpy as np

from habitat_sim import errors

__version__ = "0.0.standin"
_HALF, _BOX = 6.0, 2.0


class SensorType:
    COLOR = "color"


class CameraSensorSpec(SimpleNamespace):
    pass


class SimulatorConfiguration(SimpleNamespace):
    pass


class AgentConfiguration(SimpleNamespace):
    pass


class NavMeshSettings:
    def set_defaults(self):
        self.ready = True


class Configuration:
    def __init__(self, sim_cfg, agents):
        if not agents:
            raise RuntimeError("Config has not agents specified.  Must specify at least 1 agent")
        self.sim_cfg, self.agents = sim_cfg, agents


class Quaternion:
    def __init__(self, w, x, y, z):
        self.w, self.x, self.y, self.z = w, x, y, z


class AgentState:
    def __init__(self):
        self.position = np.zeros(3, np.float32)
        self.rotation = Quaternion(1, 0, 0, 0)


class ShortestPath:
    requested_start = requested_end = None
    geodesic_distance = float("inf")


def _free(x, z):
    inside = abs(x) < _HALF and abs(z) < _HALF
    return inside and not (abs(x) < _BOX and abs(z) < _BOX)


class PathFinder:
    def __init__(self):
        self.is_loaded = False
        self._rng = np.random.default_rng(0)

    def seed(self, seed):
        assert type(seed) is int
        self._rng = np.random.default_rng(seed)

    def get_random_navigable_point(self, max_tries=10):
        if not self.is_loaded:
            raise RuntimeError("NavMesh has not been loaded")
        for _ in range(max_tries):
            x, z = self._rng.uniform(-_HALF + 0.3, _HALF - 0.3, 2)
            if _free(x, z):
                return np.array([x, self._rng.choice([0.0, 3.0], p=[0.9, 0.1]), z], np.float32)
        return np.full(3, np.nan, np.float32)

    def find_path(self, path):
        start, end = np.asarray(path.requested_start), np.asarray(path.requested_end)
        if not (np.isfinite(start).all() and np.isfinite(end).all()) or start[1] != end[1]:
            path.geodesic_distance = float("inf")
            return False
        path.geodesic_distance = float(np.linalg.norm(start - end))
        return True


class Agent:
    def __init__(self, config):
        self.agent_config, self._state = config, AgentState()

    def get_state(self):
        return self._state

    def set_state(self, state, reset_sensors=True, infer_sensor_states=True, is_initial=False):
        kept = AgentState()
        kept.position = np.array(state.position, np.float32)
        rotation = state.rotation
        if isinstance(rotation, list):
            x, y, z, w = rotation
            assert abs(x * x + y * y + z * z + w * w - 1) < 1e-5, "rotation must have unit length"
            rotation = Quaternion(w, x, y, z)
        kept.rotation = rotation
        self._state = kept


class Simulator:
    def __init__(self, config):
        self.config, self.pathfinder = config, PathFinder()
        self._agents = [Agent(agent) for agent in config.agents]
        self._closed = False

    def recompute_navmesh(self, pathfinder, settings):
        assert settings.ready
        pathfinder.is_loaded = "floorless" not in self.config.sim_cfg.scene_id
        return pathfinder.is_loaded

    def seed(self, seed):
        self.pathfinder.seed(seed)

    def reset(self):
        return self.get_sensor_observations()

    def get_agent(self, agent_id):
        return self._agents[agent_id]

    def step(self, action):
        agent = self._agents[0]
        state = agent.get_state()
        angle = 2 * np.arctan2(state.rotation.y, state.rotation.w)
        collided = False
        if action == "move_forward":
            there = state.position - 0.25 * np.array([np.sin(angle), 0, np.cos(angle)], np.float32)
            collided = not _free(there[0], there[2])
            state.position = state.position if collided else there.astype(np.float32)
        elif action in ("turn_left", "turn_right"):
            angle += np.radians(10 if action == "turn_left" else -10)
            state.rotation = Quaternion(np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0)
        else:
            raise AssertionError(f"No action {action} in action space")
        return {**self.get_sensor_observations(), "collided": collided}

    def get_sensor_observations(self, agent_ids=0):
        spec = self._agents[0].agent_config.sensor_specifications[0]
        height, width = spec.resolution
        state = self._agents[0].get_state()
        picture = np.full((height, width, 4), 255, np.uint8)
        picture[..., 0] = int(state.position[0] * 20) % 256
        picture[..., 1] = int(state.position[2] * 20) % 256
        angle = 2 * np.arctan2(state.rotation.y, state.rotation.w)
        picture[..., 2] = (np.arange(width) * 3 + int(np.degrees(angle))) % 256
        return {spec.uuid: picture}

    def make_greedy_follower(self, agent_id=None, goal_radius=None):
        return GreedyGeodesicFollower(self.pathfinder, self._agents[agent_id or 0], goal_radius)

    def close(self, destroy=True):
        self._closed = True


class GreedyGeodesicFollower:
    def __init__(self, pathfinder, agent, goal_radius=None):
        self._agent, self._radius = agent, goal_radius or 0.1875

    def next_action_along(self, goal_pos):
        state = self._agent.get_state()
        if abs(goal_pos[1] - state.position[1]) > 0.1:
            raise errors.GreedyFollowerError()
        x, z = goal_pos[0] - state.position[0], goal_pos[2] - state.position[2]
        if np.hypot(x, z) < self._radius:
            return None
        angle = 2 * np.arctan2(state.rotation.y, state.rotation.w)
        aim = np.arctan2(-x, -z)
        error = (np.degrees(aim - angle) + 180) % 360 - 180
        if abs(error) > 5:
            return "turn_left" if error > 0 else "turn_right"
        there = state.position - 0.25 * np.array([np.sin(angle), 0, np.cos(angle)])
        if not _free(there[0], there[2]):
            raise errors.GreedyFollowerError()
        return "move_forward"
