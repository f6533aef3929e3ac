"""On the real engine where it can be imported, else on a stand-in with its API."""

import importlib.util
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
from simulators.dmlab.actions import FULL, NATIVE
from simulators.dmlab.session import Session
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

STANDINS = Path(__file__).parent / "standins"
REAL = importlib.util.find_spec("deepmind_lab") is not None


@pytest.fixture(autouse=True)
def engine(monkeypatch):
    if not REAL:
        monkeypatch.syspath_prepend(str(STANDINS))
        yield
        sys.modules.pop("deepmind_lab", None)
    else:
        yield


def make(**kwargs):
    return gymnasium.make("SimDMLab-v0", disable_env_checker=True, **kwargs)


def play(env, seed, steps=12):
    frame, info = env.reset(seed=seed)
    env.action_space.seed(seed)
    frames, poses = [frame], [info["pose"]]
    for _ in range(steps):
        frame, *_, info = env.step(env.action_space.sample())
        frames.append(frame)
        poses.append(info["pose"])
    return np.stack(frames), np.stack(poses)


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_finds_nothing_wrong():
    check_env(make(size=16).unwrapped)


def test_the_engine_says_what_the_native_action_is():
    session = Session("teco_maze", {"levelDirectory": _levels()}, "software")
    spec = {entry["name"]: (entry["min"], entry["max"]) for entry in session._lab.action_spec()}
    assert spec == {name: (low, high) for name, low, high in NATIVE}
    session.close()


def _levels() -> str:
    return str(Path(simulators.__file__).parent / "dmlab/levels")


def test_fresh_processes_give_the_same_bytes_for_a_seed():
    env = make()
    first = play(env, 3)
    play(env, 4)
    again = play(env, 3)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    env.close()


@pytest.mark.parametrize("process", ["own", "shared"])
def test_a_kept_process_gives_the_same_maze_for_a_seed(process):
    env = make(process=process)
    _, before = env.reset(seed=3)
    env.reset(seed=4)
    _, after = env.reset(seed=3)
    np.testing.assert_array_equal(before["layout"], after["layout"])
    env.close()


def test_poses_and_layouts_follow_the_projects_conventions():
    env = make(process="shared")
    for seed in range(3):
        frame, info = env.reset(seed=seed)
        assert (frame.dtype, frame.shape) == (np.uint8, (64, 64, 3))
        assert info["layout"].shape == (9, 9)
        x, y, _ = info["pose"]
        assert info["layout"][8 - int(y // 100), int(x // 100)] == 0
        *_, turned = env.step(0)
        change = (turned["pose"][2] - info["pose"][2] + 180) % 360 - 180
        assert 3 < change < 20  # to the left
        for _ in range(3):
            before = turned["pose"]
            *_, turned = env.step(2)
        east, north = turned["pose"][:2] - before[:2]
        if np.hypot(east, north) > 15:
            bearing = np.degrees(np.arctan2(north, east))
            assert abs((bearing - before[2] + 180) % 360 - 180) < 20
    env.close()


def test_levels_without_debug_observations_have_no_pose():
    if REAL:
        pytest.skip("the real engine's levels all have them when decorated")
    _, info = make(level="tests/demo_map", process="shared").reset(seed=0)
    assert info == {}


def test_an_episode_that_ends_shows_its_last_frame_again():
    env = make(process="shared", num_steps=30, config={"episodeLengthSeconds": "3"})
    before, _ = env.reset(seed=0)
    for _ in range(20):
        frame, _, terminated, truncated, info = env.step(0)
        if terminated:
            break
        before = frame
    assert terminated
    assert not truncated
    np.testing.assert_array_equal(frame, before)
    assert info["pose"].shape == (3,)
    env.reset(seed=1)
    env.close()


def test_nothing_is_printed_on_stdout():
    """In a process of its own, where descriptor 1 is what a pipe would get."""
    code = (
        "import gymnasium, simulators\n"
        "for process in ('shared', 'own'):\n"
        "    env = gymnasium.make('SimDMLab-v0', process=process)\n"
        "    env.reset(seed=0); env.step(0); env.close()\n"
        "print('only this')\n"
    )
    path = os.pathsep.join([*([] if REAL else [str(STANDINS)]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "only this\n"


def test_native_actions_reach_the_engine():
    env = make(actions="native", process="shared")
    _, info = env.reset(seed=0)
    *_, turned = env.step(np.array([-20, 0, 0, 0, 0, 0, 0]))
    assert 3 < (turned["pose"][2] - info["pose"][2] + 180) % 360 - 180 < 20
    with pytest.raises(InputError, match="got the action"):
        env.step(np.array([-513, 0, 0, 0, 0, 0, 0]))
    env.close()


def test_the_full_set_begins_with_tecos_three():
    names = make(actions="full", process="shared").unwrapped.action_meanings
    assert names[:3] == ("turn left", "turn right", "forward")
    assert len(names) == len(FULL) == 14


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"level": "no/such/level"}, "no/such/level.*mend them"),
        ({"config": {"colour": "red"}}, "colour"),
        ({"actions": "all"}, "actions='all'; choose one of 'teco', 'full', 'native'"),
        ({"process": "other"}, "process='other'"),
        ({"renderer": "best"}, "renderer='best'"),
        ({"num_steps": 0}, "num_steps=0"),
        ({"size": 2}, "size=2"),
    ],
)
@pytest.mark.parametrize("process", ["own", "shared"])
def test_bad_arguments_are_named(kwargs, words, process):
    with pytest.raises(InputError, match=words):
        make(**{"process": process, **kwargs})


def test_a_process_that_dies_is_named():
    env = make(process="own")
    env.reset(seed=0)
    env.unwrapped._session._process.kill()
    with pytest.raises(RuntimeError, match=r"Session died \(SIGKILL\)"):
        env.step(0)
    env.close()
    env.close()


@pytest.mark.skipif(REAL, reason="the engine is here")
def test_a_missing_engine_is_named(monkeypatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(STANDINS)])
    for process in ("own", "shared"):
        with pytest.raises(InputError, match=r"needs the module deepmind_lab.*build it"):
            make(process=process)


def test_the_walker_turns_and_then_sees_most_of_the_maze():
    env = make(process="shared")
    shares = []
    for seed in range(2):
        frame, info = env.reset(seed=seed)
        layout = info["layout"]
        policy = explorers.make("teco-maze")
        policy.reset(env, seed)
        actions, cells = [], set()
        for _ in range(300):
            actions.append(policy.act(env, frame, info))
            frame, *_, info = env.step(actions[-1])
            x, y, _ = info["pose"]
            cells.add((8 - int(y // 100), int(x // 100)))
        assert actions[:20] == [0] * 20
        assert set(actions) == {0, 1, 2}
        assert all(layout[cell] == 0 for cell in cells)
        shares.append(len(cells))
    assert max(shares) > 6
    env.close()


def test_the_walker_begins_as_real_recordings_of_it_do():
    root = Path(__file__).parents[2] / ".." / "shared" / "data" / "dmlab" / "test" / "0"
    files = sorted(root.glob("*.npz"))[:6]
    if not files:
        pytest.skip("the real recordings are not here")
    agreeing = []

    class Lab:
        action_meanings = ("turn left", "turn right", "forward")
        cell = 100.0

        @property
        def unwrapped(self):
            return self

    for file in files:
        with np.load(file) as data:
            text = str(data["layout"])
            poses, actions = data["pose"], data["actions"]
        layout = np.array([[c == "*" for c in line] for line in text.strip("\n").split("\n")])
        policy = explorers.make("teco-maze")
        policy.reset(Lab(), 0)
        chosen = [
            policy.act(Lab(), None, {"pose": pose, "layout": layout.astype(np.uint8)})
            for pose in poses
        ]
        agreeing += list(np.array(chosen[:20]) == actions[:20])
    assert np.mean(agreeing) > 0.95


def test_it_is_recorded_and_validates(tmp_path):
    record("SimDMLab-v0", tmp_path, episodes=2, policy="teco-maze", workers=1, max_steps=30,
           env_kwargs={"process": "shared"}, progress=False)  # fmt: skip
    assert validate(tmp_path).ok
    dataset = TrajectoryDataset.open(tmp_path)
    for ref in dataset.episodes():
        episode = dataset.read(ref)
        assert episode.attributes["frame_skip"] == 4
        assert episode.attributes["layout"].shape == (9, 9)
        assert set(episode.actions[:20]) == {0}
