"""The registered ids: the maze, and those that need a world of one's own."""

import gymnasium
import pytest
from nano import make_nano

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError

OTHERS = ("TecoDMLab-v0", "TecoMinecraft-v0", "TecoHabitat-v0")


@pytest.mark.parametrize("name", OTHERS)
def test_others_need_a_world(name):
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(InputError, match=r"world is None; give .* world='maze'"):
            make(name)


@pytest.mark.parametrize("name", ["TecoMaze-v0", *OTHERS])
def test_all_make_both_kinds(name):
    env = gymnasium.make(f"worldmodel_env:{name}", world=make_nano())
    assert isinstance(env.unwrapped, TecoEnv)
    assert env.spec.max_episode_steps == 300
    env.reset(seed=0)
    envs = gymnasium.make_vec(name, num_envs=2, world=make_nano())
    assert isinstance(envs, TecoVectorEnv)
    assert envs.max_episode_steps == 300
    envs.reset(seed=0)
