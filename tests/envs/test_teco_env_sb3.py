"""Stable-Baselines3 trains on imagined environments as they are."""

import gymnasium
import pytest
from nano import make_nano
from stable_baselines3 import PPO


def test_ppo_trains_in_an_untrained_world():
    # SB3's network for images refuses frames under 36 x 36.
    env = gymnasium.make(
        "worldmodel_env:TecoMaze-v0", world=make_nano(resolution=64), max_episode_steps=20
    )
    model = PPO("CnnPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(64)
    assert model.num_timesteps == 64
    assert len(model.ep_info_buffer) == 3
    action, _ = model.predict(env.reset()[0])
    assert env.action_space.contains(int(action))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ppo_trains_in_the_shipped_world():
    model = PPO(
        "CnnPolicy", "worldmodel_env:TecoMaze-v0", n_steps=500, batch_size=100, device="cpu"
    )
    model.learn(2000)
    assert model.num_timesteps == 2000
    assert len(model.ep_info_buffer) >= 6
