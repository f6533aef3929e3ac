"""On MineRL where WORLDMODEL_MINERL_PYTHON names an interpreter that has it (its stand-in for the
game is enough), and on a stand-in with the APIs of 0.4.4 and of 1.0.
"""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import simulators
from simulators import explorers
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

HOME = Path(__file__).parent / "standins/minerl_home"
REAL = os.environ.get("WORLDMODEL_MINERL_PYTHON", "")


@pytest.fixture(params=["0.4.4", "1.0"])
def minerl(request, monkeypatch):
    monkeypatch.setenv("STANDIN_MINERL", request.param)
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    return request.param


@pytest.fixture
def game():
    if not REAL:
        pytest.skip("WORLDMODEL_MINERL_PYTHON names no interpreter with MineRL")
    env = make("marsh", python=REAL, fake=True)
    yield env
    env.close()


def make(level="MineRLNavigate-v0", **kwargs):
    return gymnasium.make("SimMinecraft-v0", disable_env_checker=True, level=level, **kwargs)


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_finds_nothing_wrong(minerl):
    env = make(size=32)
    check_env(env.unwrapped)
    env.close()


def test_frames_have_the_size_asked_for(minerl):
    for size in (64, 128):
        env = make(size=size)
        frame, _ = env.reset(seed=0)
        assert (frame.dtype, frame.shape) == (np.uint8, (size, size, 3))
        env.close()


def test_the_heading_is_kept_where_no_location_is_told(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    env = make(actions="full")
    names = env.unwrapped.action_meanings
    _, info = env.reset(seed=0)
    assert info == {"heading": 0.0, "pitch": 0.0}
    for name in ("turn left", "look left", "look up", "forward"):
        *_, info = env.step(names.index(name))
    assert info == {"heading": 40.0, "pitch": 20.0}
    for _ in range(6):
        *_, info = env.step(names.index("look up"))
    assert info["pitch"] == 90.0
    env.close()


def test_poses_follow_the_projects_conventions_where_a_location_is_told(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HOME))
    monkeypatch.setenv("STANDIN_MINERL", "1.0")
    env = make("MineRLBasaltFindCave-v0")
    names = env.unwrapped.action_meanings
    _, info = env.reset(seed=0)
    assert info["pose"][2] == 270  # Minecraft's players look to the south at first
    *_, turned = env.step(names.index("turn left"))
    assert turned["pose"][2] == 290
    *_, moved = env.step(names.index("forward"))
    east, north = moved["pose"][:2] - turned["pose"][:2]
    assert np.degrees(np.arctan2(north, east)) % 360 == pytest.approx(290, abs=1)
    env.close()


def test_ends_are_told_apart(minerl):
    env = make().unwrapped
    env.reset(seed=0)
    for _ in range(58):
        assert env.step(0)[2:4] == (False, False)
    assert env.step(0)[2:4] == ((False, True) if minerl == "1.0" else (True, False))
    env.reset(seed=1)
    env.close()


def test_a_lost_game_is_an_error_and_its_random_picture_is_not_recorded(minerl, tmp_path):
    env = make("MineRLTreechop-v0")
    env.reset(seed=0)
    for _ in range(28):  # and one that does nothing, at the reset
        env.step(0)
    with pytest.raises(RuntimeError, match=r"lost the game \(Connection timed out"):
        env.step(0)
    with pytest.raises(InputError, match="call reset"):
        env.step(0)
    env.reset(seed=0)
    env.close()
    with pytest.raises(InputError, match=r"3 episodes in a row.*lost the game"):
        record("SimMinecraft-v0", tmp_path, episodes=5, policy="teco-minecraft", workers=1,
               env_kwargs={"level": "MineRLTreechop-v0"}, progress=False)  # fmt: skip
    assert not list(tmp_path.rglob("*.hdf5"))


def test_a_game_that_dies_is_an_error(minerl):
    env = make()
    env.reset(seed=0)
    env.unwrapped._game._process.kill()
    with pytest.raises(RuntimeError, match="process died at 'step'"):
        env.step(0)
    env.close()
    env.close()


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"level": "MineRLNowhere-v0"}, "level='MineRLNowhere-v0'.*No registered env"),
        ({"level": "MineRLStuck-v0"}, "takes no forward, jump"),
        ({"python": "no-such-python"}, "no Python at 'no-such-python'"),
        ({"actions": "all"}, "actions='all'"),
        ({"size": 7}, "size=7"),
    ],
)
def test_bad_arguments_are_named(minerl, kwargs, words):
    with pytest.raises(InputError, match=words):
        make(**kwargs)


def test_a_missing_minerl_is_named(monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(InputError, match=r"finds no MineRL in .*python=PATH"):
        make(python=sys.executable)


def test_it_is_recorded_and_validates(minerl, tmp_path):
    record("SimMinecraft-v0", tmp_path, episodes=2, policy="teco-minecraft", workers=1,
           env_kwargs={"level": "MineRLNavigate-v0", "size": 32}, max_steps=20,
           progress=False)  # fmt: skip
    assert validate(tmp_path).ok
    dataset = TrajectoryDataset.open(tmp_path)
    for ref in dataset.episodes():
        assert (dataset.read(ref).pose is None) == (minerl == "0.4.4")


def test_the_walk_has_the_published_probabilities():
    class Player:
        action_meanings = ("nothing", "forward", "turn left", "turn right")
        unwrapped = property(lambda self: self)

    drawn, runs = [], []
    for seed in range(200):
        policy = explorers.make("teco-minecraft")
        policy.reset(Player(), seed)
        actions = [policy.act(Player(), None, {}) for _ in range(300)]
        assert all(len(set(actions[i : i + 5])) == 1 for i in range(0, 300, 5))
        drawn += actions[::5]
        run = 0
        for action in actions:
            run = run + 1 if action == 1 else 0
            runs.append(run)
    # A turn is forced after ten draws forward, so that turns are a little more than a tenth.
    assert drawn.count(1) / len(drawn) == pytest.approx(0.857, abs=0.015)
    assert drawn.count(2) / len(drawn) == pytest.approx(drawn.count(3) / len(drawn), abs=0.01)
    assert max(runs) == 50
    with pytest.raises(InputError, match="use SimMinecraft-v0"):
        explorers.make("teco-minecraft").reset(gymnasium.make("CartPole-v1"), 0)


def test_minerls_own_python_side_takes_the_adapter(game, tmp_path):
    """Its real spaces, handlers and calls, with its stand-in for the game."""
    assert {"forward", "jump", "camera"} <= set(game.unwrapped._game.actions)
    frame, info = game.reset(seed=3)
    assert frame.shape == (128, 128, 3)
    assert frame.std() > 0
    for _ in range(3):
        frame, reward, terminated, truncated, info = game.step(1)
        assert (reward, terminated, truncated) == (0.0, False, False)
    assert info["heading"] == 60.0
    record("SimMinecraft-v0", tmp_path, episodes=1, policy="teco-minecraft", workers=1,
           env_kwargs={"python": REAL, "fake": True}, max_steps=20, progress=False)  # fmt: skip
    assert validate(tmp_path).ok


def test_minerl_accepts_the_marsh(game):
    """The mission that the game would be sent, and the spaces."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import bridge; spec = bridge.marsh(128)\n"
        "print(spec.to_xml(), sorted(spec.action_space.spaces), spec.observation_space)"
    )
    folder = str(Path(simulators.__file__).parent / "minecraft")
    done = subprocess.run([REAL, "-c", code, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '"fixedBiome": 6' in done.stdout.replace("&quot;", '"')
    assert "shape=(128, 128, 3)" in done.stdout
    assert "location_stats" in done.stdout
    assert "'camera', 'forward', 'jump'" in done.stdout
