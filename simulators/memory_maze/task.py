"""Making one Memory Maze task, without the old gym that its package asks for, and faster."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
from typing import Any

from simulators.frames import one_thread_for_mesa
from worldmodel_env.errors import InputError

_NAME = "SimMemoryMaze-v0"
SIZES = (9, 11, 13, 15)


def make_task(size: int, seed: int, resolution: int) -> Any:
    """A fresh dm_env.Environment whose first episode is the one of this seed."""
    tasks = load_tasks()
    env = getattr(tasks, f"memory_maze_{size}x{size}")(
        seed=seed, global_observables=True, camera_resolution=resolution
    )
    for target in env.task._targets:
        target.__class__ = _quick_target()
    return env


def load_tasks() -> Any:
    """The module `memory_maze.tasks`; InputError if it or a library of its renderer is missing."""
    # EGL draws on a graphics card where there is one, and with Mesa otherwise.
    os.environ.setdefault("MUJOCO_GL", "egl" if sys.platform.startswith("linux") else "glfw")
    one_thread_for_mesa()
    try:
        spec = importlib.util.find_spec("memory_maze")
        if spec is None:
            raise ModuleNotFoundError("memory_maze", name="memory-maze")
        if "memory_maze" not in sys.modules:
            # The package's own __init__ only registers ids with old gym: leave it out.
            package = types.ModuleType("memory_maze")
            package.__path__ = list(spec.submodule_search_locations or [])
            package.__spec__ = spec
            sys.modules["memory_maze"] = package
        return importlib.import_module("memory_maze.tasks")
    except ModuleNotFoundError as error:
        raise InputError(
            f"{_NAME} needs the package {error.name}, which is not installed: "
            'pip install "worldmodel-env[memory-maze]".'
        ) from error
    except (ImportError, AttributeError, RuntimeError) as error:
        # PyOpenGL fails in each of these ways where EGL or OSMesa is not there.
        raise InputError(
            f"{_NAME} cannot draw with MUJOCO_GL={os.environ['MUJOCO_GL']} ({error}): "
            "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri, or set MUJOCO_GL=osmesa after "
            "apt-get install libosmesa6."
        ) from error


def _quick_target() -> type:
    """The target's class with its test for contacts done at once, not one by one in Python."""
    from dm_control.locomotion.props.target_sphere import TargetSphere

    class QuickTarget(TargetSphere):
        def _update_activation(self, physics: Any) -> None:
            if self.activated:
                return
            if (physics.data.contact.geom == self._geom_id).any():
                self._activated = True
                physics.bind(self._material).rgba[-1] = 0

    return QuickTarget
