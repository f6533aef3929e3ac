"""The registered ids: those whose worlds ship, and those that need a world of one's own."""

import gymnasium
import pytest
from nano import make_nano

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError

SHIPPED = ("TecoMaze-v0", "TecoDMLab-v0")
OTHERS = ("TecoMinecraft-v0", "TecoHabitat-v0")


@pytest.mark.parametrize("name", OTHERS)
def test_others_need_a_world(name):
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(InputError, match=r"world is None; give .* world='maze'"):
            make(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_worlds_are_imagined(name):
    env = gymnasium.make(name, backend="torch")
    frame, _ = env.reset(seed=0)
    assert env.observation_space.contains(frame)
    frame, reward, *_ = env.step(2)
    assert env.observation_space.contains(frame)
    assert env.unwrapped.get_keys_to_action()[ord("w"),] == 2
    assert abs(reward) < 1


@pytest.mark.parametrize("name", [*SHIPPED, *OTHERS])
def test_all_make_both_kinds(name):
    env = gymnasium.make(f"worldmodel_env:{name}", world=make_nano())
    assert isinstance(env.unwrapped, TecoEnv)
    assert env.spec.max_episode_steps == 300
    env.reset(seed=0)
    envs = gymnasium.make_vec(name, num_envs=2, world=make_nano())
    assert isinstance(envs, TecoVectorEnv)
    assert envs.max_episode_steps == 300
    envs.reset(seed=0)
