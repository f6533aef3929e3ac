import gymnasium
import numpy as np
import pytest
import toy_env
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env

import simulators  # noqa: F401
from simulators.gym_image.pictures import find_picture
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError


def box(*shape):
    return spaces.Box(0, 255, shape, np.uint8)


class Shows(gymnasium.Env):
    """An environment that observes whatever its space samples, and may render."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012

    def __init__(self, space, action=None, rendered=None, render_mode=None):
        self.observation_space = space
        self.action_space = action or spaces.Discrete(2)
        self.rendered, self.render_mode = rendered, render_mode
        self.taken = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {"pose": (1, 2)}

    def step(self, action):
        assert self.action_space.contains(action)
        self.taken.append(action)
        return self.observation_space.sample(), 0.5, len(self.taken) == 5, False, {}

    def render(self):
        return self.rendered


@pytest.fixture(autouse=True)
def registered():
    gymnasium.register("Shows-v0", entry_point=Shows, max_episode_steps=10)
    yield
    del gymnasium.registry["Shows-v0"]


def make(space, **kwargs):
    return gymnasium.make("SimGym-v0", env_id="Shows-v0", size=16, space=space, **kwargs)


@pytest.mark.parametrize(
    "space",
    [
        box(16, 16, 3), box(40, 30, 3), box(3, 40, 30), box(20, 24, 1), box(1, 20, 24), box(20, 24),
        spaces.Dict({"screen": box(20, 24, 3), "ammo": spaces.Box(0, 9, (2,), np.float32)}),
    ],
)  # fmt: skip
def test_pictures_of_every_layout_become_frames(space):
    env = make(space)
    frame, info = env.reset(seed=1)
    assert (frame.dtype, frame.shape) == (np.uint8, (16, 16, 3))
    assert frame.std() > 0
    assert "pose" not in info  # one of two numbers is none
    grey = not isinstance(space, spaces.Dict) and 3 not in space.shape
    assert (frame[..., 0] == frame[..., 2]).all() == grey


def test_a_picture_of_the_right_size_is_not_touched():
    env, plain = make(box(16, 16, 3)), Shows(box(16, 16, 3))
    np.testing.assert_array_equal(env.reset(seed=4)[0], plain.reset(seed=4)[0])


def test_shrinking_averages_the_whole_frame():
    env = make(box(32, 48, 3))
    frame, _ = env.reset(seed=0)
    whole, _ = Shows(box(32, 48, 3)).reset(seed=0)
    np.testing.assert_allclose(frame[0, 0], whole[:2, :3].mean((0, 1)), atol=0.51)


@pytest.mark.parametrize(
    "space",
    [spaces.Box(-1, 1, (4,), np.float32), box(128), box(2, 3, 3),
     spaces.Dict({"left": box(20, 24, 3), "right": box(20, 24, 3)})],
)  # fmt: skip
def test_without_a_single_picture_it_renders(space):
    assert find_picture(space) is None
    picture = np.full((20, 30, 3), 77, np.uint8)
    frame, _ = make(space, rendered=picture).reset(seed=0)
    assert (frame == 77).all()
    with pytest.raises(InputError, match="holds no single picture"):
        make(space, source="observation")
    with pytest.raises(InputError, match="renders None, not a uint8 picture"):
        make(space).reset(seed=0)


def test_source_render_prefers_what_is_rendered():
    picture = np.full((20, 30, 3), 77, np.uint8)
    env = make(box(16, 16, 3), rendered=picture, source="render", render_mode="rgb_array")
    assert (env.reset(seed=0)[0] == 77).all()
    assert env.render().shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("own", "stored"),
    [
        (spaces.MultiBinary(3), spaces.MultiDiscrete([2, 2, 2])),
        (spaces.Box(-1, 1, (2,), np.float64), spaces.Box(-1, 1, (2,), np.float32)),
        (spaces.Discrete(4, start=2), spaces.Discrete(4, start=2)),
    ],
)
def test_actions_are_given_on_in_the_kind_the_environment_wants(own, stored):
    env = make(box(16, 16, 3), action=own)
    assert env.action_space == stored
    env.reset(seed=0)
    action = env.action_space.sample()
    env.step(action)
    np.testing.assert_array_equal(env.unwrapped.inner.unwrapped.taken[0], action)
    with pytest.raises(InputError, match="got the action"):
        env.unwrapped.step("left")


def test_frame_skip_repeats_and_adds_up():
    env = make(box(16, 16, 3), frame_skip=3)
    env.reset(seed=0)
    assert env.step(1)[1:4] == (1.5, False, False)
    assert env.step(1)[1:4] == (1.0, True, False)
    assert env.unwrapped.frame_skip == 3


@pytest.mark.filterwarnings("ignore")
def test_gymnasium_finds_nothing_wrong():
    check_env(gymnasium.make("SimGym-v0", env_id=toy_env.ID, size=24).unwrapped)


def test_any_environment_is_recorded_by_its_id(tmp_path):
    record(f"gym:{toy_env.ID}", tmp_path, episodes=2, policy="random", workers=1, progress=False,
           env_kwargs={"size": 24, "frame_skip": 2, "image_size": 40})  # fmt: skip
    assert validate(tmp_path).ok
    dataset = TrajectoryDataset.open(tmp_path)
    for ref in dataset.episodes():
        episode = dataset.read(ref)
        assert episode.observations.shape[1:] == (24, 24, 3)
        assert episode.pose is not None
        assert episode.attributes["simulator"] == "SimGym-v0"
        assert episode.attributes["frame_skip"] == 2
        assert "toy_env" in episode.attributes["versions"]
        assert episode.terminations.any() or episode.truncations.any()


def test_the_time_limit_is_the_environments_own_or_the_given_one(tmp_path):
    pixels = {"simulator": "gym:CartPole-v1", "policy": "random", "progress": False}
    pytest.importorskip("pygame")
    record(**pixels, out=tmp_path, episodes=1, max_steps=4)
    assert TrajectoryDataset.open(tmp_path).episodes()[0].total_steps == 4
    with pytest.raises(InputError, match="no time limit"):
        record(f"gym:{toy_env.ENDLESS_ID}", tmp_path, episodes=1, policy="random")


@pytest.mark.parametrize(
    ("simulator", "kwargs", "words"),
    [
        ("gym:CartPol-v1", {}, "did you mean CartPole-v1"),
        ("gym:no_such_module:Thing-v0", {}, "no_such_module"),
        (f"gym:{toy_env.ID}", {"colour": 3}, "colour"),
        (f"gym:{toy_env.ID}", {"size": "large"}, "size='large'"),
        (f"gym:{toy_env.ID}", {"source": "eyes"}, "source='eyes'"),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path, simulator, kwargs, words):
    with pytest.raises(InputError, match=words):
        record(simulator, tmp_path, episodes=1, policy="random", env_kwargs=kwargs)
    assert not list(tmp_path.rglob("*.hdf5"))
