"""Fixtures shared by all tests; being here, this file also makes `import toy_env` possible."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Before torch is imported: on a busy machine two threads wait for one another fifty times as long
# as one thread works, and nothing here is large enough for two.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import pytest
import toy_env

from simulators.recorder import record


def pytest_configure() -> None:
    """Shells start what runs in the background deaf to Ctrl-C, which tests send."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def toy_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded data set of the toy environment, 12 + 3 + 3 episodes; not to be changed."""
    root = tmp_path_factory.mktemp("sets") / "toy-v0"
    record(toy_env.ID, root, episodes=12, validation=3, test=3, policy="random", progress=False)
    return root


@pytest.fixture(scope="session")
def nano_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an untrained world with the toy environment's spaces; not to be changed."""
    from nano import make_nano

    return make_nano().save(tmp_path_factory.mktemp("worlds") / "nano")


@pytest.fixture(scope="session")
def exported_nano(nano_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache, for XDG_CACHE_HOME, that holds the export of `nano_world`; not to be changed."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    from worldmodel_env.imagination.export.cached import cached_export
    from worldmodel_env.imagination.export.manifest import Options
    from worldmodel_env.imagination.world import World

    home = tmp_path_factory.mktemp("cache")
    world = World.load(nano_world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        cached_export(world, Options(world.config.sampling))
    return home


@pytest.fixture
def nano_env(nano_world: Path) -> Iterator[gymnasium.Env]:
    """`TecoMaze-v0` in the untrained world, in float32, which is the same on every machine."""
    env = gymnasium.make(
        "worldmodel_env:TecoMaze-v0",
        world=str(nano_world),
        precision="fp32",
        render_mode="rgb_array",
    )
    yield env
    env.close()
