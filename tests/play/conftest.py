"""Fixtures of the page's tests: an untrained world, a toy simulator, a server that runs."""

from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest
import toy_env
from nano import make_nano
from page_server import MakeSession, Serving, served

from worldmodel_env.play.album import Album
from worldmodel_env.play.controls import controls_of
from worldmodel_env.play.dreams import Dreams
from worldmodel_env.play.session import Session
from worldmodel_env.play.simulator import Simulator
from worldmodel_env.play.truth import Truth


@pytest.fixture(scope="session")
def dreams() -> Dreams:
    return Dreams(make_nano(endless=True))


@pytest.fixture(scope="session")
def toy() -> Simulator:
    """A simulator with the untrained world's spaces; it has poses, but no map."""
    kwargs = {"split": "test", "size": 40}

    def make() -> gymnasium.Env:
        return gymnasium.make(toy_env.ID, disable_env_checker=True, **kwargs).unwrapped

    return Simulator("Toy-v0", make, kwargs, None)


@pytest.fixture
def make_session(dreams: Dreams) -> Iterator[MakeSession]:
    made = []

    def make(simulator: Simulator | None = None, album: Path | None = None) -> Session:
        truth = None if simulator is None else Truth(simulator, dreams.world)
        controls = controls_of(dreams.world.action_space)
        made.append(Session(dreams, controls, truth, None if album is None else Album(album)))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def serving(make_session: MakeSession) -> Iterator[Serving]:
    with served(make_session) as running:
        yield running
