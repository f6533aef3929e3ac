"""What several tests of agents begin with."""

import pytest
import toy_room  # noqa: F401  registers the environments

from agents.baselines import Uniform
from agents.collect import collect


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Six walks in the toy room: a data set's folder."""
    data = tmp_path_factory.mktemp("set")
    (data / "data" / "episodes").mkdir(parents=True)
    collect(Uniform(), "random", "ToyRoomLimited-v0", data, episodes=6, first=0,
            kwargs={"endless": True})  # fmt: skip
    return data
