"""`SimHabitat-v0`: scanned rooms in Habitat-Sim, where the user has installed it."""

from __future__ import annotations

import math
from pathlib import Path
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
from worldmodel_env.errors import InputError

_NAME = "SimHabitat-v0"
_SENSOR = "rgb"
_EYES = 1.5
"""Height of the camera above the floor in metres, as by default."""


class HabitatEnv(gymnasium.Env[Frame, Any]):
    """A scene of Habitat-Sim, seen by its agent: uint8 (size, size, 3), rendered at that size.

    Actions: 0 forward (0.25 m, sliding along what is in the way), 1 turn left, 2 turn right (by
    10 degrees): Habitat's own steps (TECO's set stores them as 1, 2, 3). An episode begins at a
    random point one can stand on and ends by the time limit alone; there is no reward.

    `info["pose"]` is float32 (x, y, heading): metres along the scene's x and -z axes, degrees
    counter-clockwise from x, seen from above; `info["height"]` the floor's, in metres. The seed
    fixes start and whatever `sim.pathfinder` draws: same seed and actions, same bytes on the same
    graphics driver.

    Args:
        scene: Path of a scene, such as a .glb file, with its navmesh beside it if it has one.
        size: Side of the frames in pixels.
        gpu: Which graphics card draws.
        render_mode: None or "rgb_array", the frame itself.

    Raises:
        InputError: An argument or an action out of its range, or `habitat_sim` is missing.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    action_meanings = ("forward", "turn left", "turn right")
    _keys = ("move_forward", "turn_left", "turn_right")

    def __init__(
        self, scene: str = "", size: int = 128, gpu: int = 0, render_mode: str | None = None
    ) -> None:
        check_size(_NAME, size)
        check_choice(_NAME, "render_mode", render_mode, (None, "rgb_array"))
        if not Path(scene).is_file():
            raise InputError(
                f"{_NAME} finds no scene at {scene!r}: give the path of a .glb file as scene."
            )
        self.render_mode, self._size = render_mode, size
        self.observation_space = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.action_space = spaces.Discrete(3)
        self.sim = _simulator(scene, size, gpu)
        self._frame: Frame | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frame, dict[str, Any]]:
        """Begins an episode at a point that the seed picks; `options` are not used."""
        super().reset(seed=seed)
        import habitat_sim

        self.sim.reset()
        self.sim.seed(int(self.np_random.integers(2**31)))
        point = np.asarray(self.sim.pathfinder.get_random_navigable_point(), np.float32)
        if not np.isfinite(point).all():
            raise RuntimeError("Habitat-Sim found no point to stand on: use another scene.")
        half = self.np_random.uniform(0, 2 * math.pi) / 2
        state = habitat_sim.AgentState()
        state.position = point
        state.rotation = [0.0, math.sin(half), 0.0, math.cos(half)]  # x, y, z, w
        self.sim.get_agent(0).set_state(state)
        return self._see(self.sim.get_sensor_observations()), self._info()

    def step(self, action: Any) -> tuple[Frame, float, bool, bool, dict[str, Any]]:
        """Moves or turns; see the class."""
        if self._frame is None:
            raise no_episode(_NAME)
        if not self.action_space.contains(action):
            raise bad_action(_NAME, action, meanings(self.action_meanings))
        frame = self._see(self.sim.step(self._keys[int(action)]))
        return frame, 0.0, False, False, self._info()

    def render(self) -> Frame | None:  # type: ignore[override]
        """The last frame; None without a mode."""
        if self.render_mode is None:
            return None
        if self._frame is None:
            raise no_episode(_NAME)
        return self._frame.copy()

    def close(self) -> None:
        """Ends the simulator; may be called again."""
        if self.sim is not None:
            self.sim.close()
        self.sim = self._frame = None

    def _see(self, observations: Any) -> Frame:
        self._frame = np.array(observations[_SENSOR], np.uint8)[..., :3]  # without alpha
        return self._frame.copy()

    def _info(self) -> dict[str, Any]:
        state = self.sim.get_agent(0).get_state()
        x, height, z = (float(number) for number in state.position)
        turned = state.rotation
        # The camera looks along -z; y is up.
        east = -2 * (turned.x * turned.z + turned.w * turned.y)
        north = 1 - 2 * (turned.x**2 + turned.y**2)
        return {"pose": pose(x, -z, math.degrees(math.atan2(north, east))), "height": height}


def _simulator(scene: str, size: int, gpu: int) -> Any:
    try:
        import habitat_sim
    except ImportError as error:
        raise InputError(
            f"{_NAME} needs the module habitat_sim, which has no usable package on PyPI: install "
            "it with conda as docs/simulators.md says."
        ) from error
    world = habitat_sim.SimulatorConfiguration()
    world.scene_id = scene
    world.gpu_device_id = gpu
    camera = habitat_sim.CameraSensorSpec()
    camera.uuid = _SENSOR
    camera.sensor_type = habitat_sim.SensorType.COLOR
    camera.resolution = [size, size]
    camera.position = [0.0, _EYES, 0.0]
    agent = habitat_sim.AgentConfiguration()
    agent.sensor_specifications = [camera]
    sim = habitat_sim.Simulator(habitat_sim.Configuration(world, [agent]))
    if not sim.pathfinder.is_loaded:
        settings = habitat_sim.NavMeshSettings()
        settings.set_defaults()
        if not sim.recompute_navmesh(sim.pathfinder, settings):
            sim.close()
            raise InputError(f"{_NAME} finds no floor to walk on in {scene}: use another scene.")
    return sim
