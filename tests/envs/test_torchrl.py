"""TorchRL takes the imagined environments as they are, single and batched."""

import gymnasium
import numpy as np
import pytest
import torch
from nano import make_nano

pytest.importorskip("torchrl")
from torchrl.envs import GymEnv, GymWrapper, check_env_specs

import worldmodel_env  # noqa: F401

ROWS, LIMIT, STEPS = 4, 6, 40

COMBINATIONS = [("SameStep", "numpy"), ("Disabled", "numpy"), ("Disabled", "torch")]


def make(world, mode, output="numpy"):
    return gymnasium.make_vec(
        "TecoMaze-v0",
        num_envs=ROWS,
        world=world,
        max_episode_steps=LIMIT,
        autoreset_mode=mode,
        output=output,
    )


def test_single_environment():
    env = GymEnv("TecoMaze-v0", world=make_nano(), max_episode_steps=LIMIT)
    check_env_specs(env)
    rollout = env.rollout(2 * LIMIT)
    assert rollout.shape == (LIMIT,)
    assert rollout["next", "truncated"].flatten().tolist() == [False] * (LIMIT - 1) + [True]


@pytest.mark.parametrize(("mode", "output"), COMBINATIONS)
def test_specs_of_the_vector_environment(mode, output):
    env = GymWrapper(make(make_nano(), mode, output))
    assert env.batch_size == (ROWS,)
    check_env_specs(env)


@pytest.mark.parametrize(("mode", "output"), COMBINATIONS)
def test_rollouts_are_the_environment_s_own(toy_world, mode, output):
    env = GymWrapper(make(toy_world, mode, output), categorical_action_encoding=True)
    env.set_seed(5)
    torch.manual_seed(0)
    start = env.reset(seed=5)
    rollout = env.rollout(
        STEPS, break_when_any_done=False, auto_reset=False, tensordict=start
    ).unsqueeze(-1)

    plain = make(toy_world, "Disabled")
    seen, _ = plain.reset(seed=5)
    ends = 0
    for t in range(STEPS):
        here = rollout[:, t]
        np.testing.assert_array_equal(here["observation"].squeeze(1), seen)
        seen, reward, terminated, truncated, _ = plain.step(here["action"].numpy().reshape(-1))
        after = here["next"]
        np.testing.assert_array_equal(after["observation"].squeeze(1), seen)
        np.testing.assert_array_equal(after["reward"].flatten(), reward.astype(np.float32))
        np.testing.assert_array_equal(after["terminated"].flatten(), terminated)
        np.testing.assert_array_equal(after["truncated"].flatten(), truncated)
        done = terminated | truncated
        if done.any():
            ends += done.sum()
            seen, _ = plain.reset(options={"reset_mask": done})
    assert ends >= 20
