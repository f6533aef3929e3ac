"""The built wheel works by itself, away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WALK = """
import gymnasium, worldmodel_env, simulators, exporters, agents
print(worldmodel_env.__file__)
env = gymnasium.make("TecoMaze-v0", backend="torch")
frame, _ = env.reset(seed=0)
frame, *_ = env.step(2)
print(frame.shape, frame.dtype)
"""


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy: what an earlier build left in the checkout would get into the wheel.
    source = folder / "source"
    left_out = shutil.ignore_patterns(".*", "build", "demo", "tests", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=left_out)
    pip = (sys.executable, "-m", "pip", "--quiet")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_an_installed_wheel_imagines(installed: Path, tmp_path: Path) -> None:
    where, frame = run(
        sys.executable, "-c", WALK, cwd=tmp_path, PYTHONPATH=str(installed)
    ).splitlines()
    assert Path(where).is_relative_to(installed)
    assert frame == "(64, 64, 3) uint8"


@pytest.mark.slow
def test_it_carries_what_is_not_python(installed: Path) -> None:
    package = installed / "worldmodel_env"
    for name in (
        "worlds/maze/world.json",
        "worlds/dmlab/world.json",
        "play/page/index.html",
        "py.typed",
    ):
        assert (package / name).is_file(), name
    assert not (installed / "tests").exists()
    assert not (installed / "benchmarks").exists()


@pytest.mark.slow
def test_its_command_runs(installed: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "worldmodel_env.cli", "doctor")
    assert "worldmodel-env" in run(*command, cwd=tmp_path, PYTHONPATH=str(installed))
