"""Stable-Baselines3's PPO learns in imagination: N worlds, one batch (docs/rl-libraries.md)."""

from typing import Any

import gymnasium
import tyro
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

import worldmodel_env  # noqa: F401  registers the environments
from worldmodel_env.envs.sb3 import Sb3VecEnv


def main(
    world: str = "maze",
    num_envs: int = 16,
    max_episode_steps: int = 300,
    steps: int = 20_000,
    rollout: int = 64,
    seed: int = 0,
) -> None:
    """Train, then act one more episode in each world.

    Args:
        world: a shipped world's name, or a world's folder.
        num_envs: worlds imagined in one batch.
        max_episode_steps: of an episode.
        steps: environment steps of all worlds together.
        rollout: steps of each world between two updates.
        seed: of the worlds and the networks.
    """
    settings: dict[str, Any] = {"world": world, "max_episode_steps": max_episode_steps}
    worlds = gymnasium.make_vec("TecoMaze-v0", num_envs, autoreset_mode="SameStep", **settings)
    env = VecMonitor(Sb3VecEnv(worlds))
    model = PPO(
        "CnnPolicy",
        env,
        n_steps=rollout,
        batch_size=num_envs * rollout // 4,
        n_epochs=3,
        gamma=0.98,
        ent_coef=0.01,
        seed=seed,
        device="cpu",
        verbose=1,
    )
    model.learn(steps)
    mean, _ = evaluate_policy(model, env, num_envs, deterministic=False)
    print(f"mean return in imagination over {num_envs} episodes: {mean:.3f}")


if __name__ == "__main__":
    tyro.cli(main)
