"""Episodes that begin with a frame imagined out of nothing."""

from dataclasses import replace

import numpy as np
import pytest
from nano import make_nano

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError

UNCONDITIONAL = {"unconditional": True}


@pytest.fixture(scope="module")
def world():
    nano = make_nano()
    teco = replace(nano.config.teco, first_frame=True)
    return replace(nano, config=replace(nano.config, teco=teco))


def test_single(world):
    env = TecoEnv(world, precision="fp32")
    frame, info = env.reset(seed=3, options=UNCONDITIONAL)
    assert frame in env.observation_space
    assert info["start"] == -1
    later = env.step(1)[0]
    again, _ = env.reset(seed=3, options=UNCONDITIONAL)
    np.testing.assert_array_equal(again, frame)
    np.testing.assert_array_equal(env.step(1)[0], later)
    frames = {env.reset(options=UNCONDITIONAL)[0].tobytes() for _ in range(12)}
    assert len(frames) > 1, "untrained, it has few ideas"
    assert env.reset(options={"unconditional": False})[1]["start"] >= 0


def test_rows(world):
    env, single = TecoVectorEnv(4, world, precision="fp32"), TecoEnv(world, precision="fp32")
    obs, info = env.reset(seed=3, options=UNCONDITIONAL)
    assert info["start"].tolist() == [-1] * 4
    assert len(np.unique(obs, axis=0)) > 1
    for row in range(4):
        alone, _ = single.reset(seed=3 + row, options=UNCONDITIONAL)
        assert np.abs(alone.astype(int) - obs[row]).max() <= 1
    mask = np.array([False, True, True, False])
    keys = env.get_state()["key"]
    _, info = env.reset(options={"reset_mask": mask, **UNCONDITIONAL})
    assert (env.get_state()["key"] != keys).tolist() == mask.tolist()
    assert info["_start"].tolist() == mask.tolist()


def test_a_world_that_has_not_learned_to(world):
    env = TecoEnv(make_nano())
    with pytest.raises(InputError, match="'nano' has not learned to imagine first frames"):
        env.reset(options=UNCONDITIONAL)
    with pytest.raises(InputError, match="'unconditional' is 'yes'"):
        TecoEnv(world).reset(options={"unconditional": "yes"})
