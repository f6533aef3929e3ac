"""Versions of what an episode's content may depend on."""

import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

_ALWAYS = ("worldmodel-env", "gymnasium", "numpy")
_ENGINES = ("cv2", "vizdoom", "miniworld", "mujoco", "dm_control", "deepmind_lab", "minerl",
            "habitat_sim", "stable_baselines3")  # fmt: skip
"""Modules; those that are loaded count."""


def versions(env: Any) -> dict[str, str]:
    """Versions by distribution: this one, engines in use, and whatever defines `env`."""
    found = {name: version(name) for name in _ALWAYS}
    modules = [module for module in _ENGINES if module in sys.modules]
    while hasattr(env, "unwrapped"):
        modules.append(type(env.unwrapped).__module__.partition(".")[0])
        env = getattr(env.unwrapped, "inner", None)
    for module in modules:
        for distribution in _distributions().get(module, [module]):
            try:
                found[distribution] = version(distribution)
            except PackageNotFoundError:  # a module that was built, or stands in the user's folder
                stated = getattr(sys.modules.get(module), "__version__", None)
                found[distribution] = str(stated or "unknown")
    return found


@cache
def _distributions() -> dict[str, list[str]]:
    return {module: sorted(set(names)) for module, names in packages_distributions().items()}
