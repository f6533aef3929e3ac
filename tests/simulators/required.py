"""Makes simulators for tests; skips where one is not installed, unless it must be.

WORLDMODEL_REQUIRE names simulators ("SimMiniWorld-v0,SimMemoryMaze-v0") whose tests may not skip:
continuous integration sets it.
"""

import os
from typing import Any

import gymnasium
import pytest

import simulators  # noqa: F401
from worldmodel_env.errors import InputError

_made: dict[str, gymnasium.Env] = {}


def make(simulator: str, **kwargs: Any) -> gymnasium.Env:
    """Like `gymnasium.make`, once; a missing package or library skips the test, or fails it."""
    key = f"{simulator} {sorted(kwargs.items())}"
    if key not in _made:
        _made[key] = _make(simulator, kwargs)
    return _made[key]


def _make(simulator: str, kwargs: dict[str, Any]) -> gymnasium.Env:
    try:
        env = gymnasium.make(simulator, disable_env_checker=True, **kwargs)
        env.reset(seed=0)
    except InputError as error:
        if simulator in os.environ.get("WORLDMODEL_REQUIRE", "").split(","):
            pytest.fail(f"{simulator} must run here: {error}")
        pytest.skip(str(error))
    return env
