"""Fixtures of the exporters' tests."""

import shutil
from pathlib import Path

import pytest

from worldmodel_env.imagination.export import write
from worldmodel_env.imagination.export.cached import export_folder
from worldmodel_env.imagination.export.manifest import Export, Options
from worldmodel_env.imagination.world import World


@pytest.fixture(scope="session")
def nano(nano_world: Path) -> World:
    return World.load(nano_world)


@pytest.fixture(scope="session")
def options(nano: World) -> Options:
    return Options(nano.config.sampling)


@pytest.fixture(scope="session")
def made(exported_nano: Path, nano: World, options: Options) -> Export:
    """An export of the untrained world; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(exported_nano))
        return Export.load(export_folder(nano, options), nano, options)


@pytest.fixture
def copied(made: Export, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


@pytest.fixture
def quick(made: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs are copied instead of being exported."""

    def copy_graph(graph, file, batch, opset):
        assert batch is None
        shutil.copy(made.file(graph.name), file)

    monkeypatch.setattr(write, "_write_graph", copy_graph)
