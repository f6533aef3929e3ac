"""Fixtures of the environments' tests."""

import pytest
from nano import make_nano
from toy_backend import ToyBackend

from worldmodel_env.envs import episodes


@pytest.fixture(scope="session")
def empty_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, empty_cache):
    """Without the user's exports, on which the backend "auto" depends."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty_cache))


@pytest.fixture
def toy_world(monkeypatch):
    """A world whose environments run the toy backend instead of its model."""
    monkeypatch.setattr(episodes, "open_backend", lambda world, batch, **_: ToyBackend(batch))
    return make_nano()
