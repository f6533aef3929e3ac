"""Fixtures shared by all tests; being here, this file also makes `import toy_env` possible."""

from pathlib import Path

import pytest
import toy_env

from simulators.recorder import record


@pytest.fixture(scope="session")
def toy_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded data set of the toy environment, 12 + 3 + 3 episodes; not to be changed."""
    root = tmp_path_factory.mktemp("sets") / "toy-v0"
    record(toy_env.ID, root, episodes=12, validation=3, test=3, policy="random", progress=False)
    return root
