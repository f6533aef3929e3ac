"""RLlib's PPO learns in imagination: N worlds, one batch (docs/rl-libraries.md)."""

from typing import Any

import gymnasium
import numpy as np
import ray
import tyro
from gymnasium.wrappers.vector import DtypeObservation, RescaleObservation
from ray.rllib.algorithms.ppo import PPOConfig
from ray.tune.registry import register_env


def imagined(settings: dict[str, Any]) -> gymnasium.vector.VectorEnv:
    """The worlds, with frames as RLlib's networks want them: float32 in [0, 1]."""
    import worldmodel_env  # noqa: F401  registers the environments, in the process that imagines

    worlds = gymnasium.make_vec("TecoMaze-v0", **settings)
    return RescaleObservation(DtypeObservation(worlds, np.float32), 0, 1)


def main(
    world: str = "maze",
    num_envs: int = 16,
    max_episode_steps: int = 300,
    steps: int = 20_000,
    rollout: int = 64,
    seed: int = 0,
) -> None:
    """Train, then act for as many episodes more as there are worlds.

    Args:
        world: a shipped world's name, or a world's folder.
        num_envs: worlds imagined in one batch.
        max_episode_steps: of an episode.
        steps: environment steps of all worlds together.
        rollout: steps of each world between two updates.
        seed: of the worlds and the networks.
    """
    batch = num_envs * rollout
    settings = {"world": world, "max_episode_steps": max_episode_steps}
    register_env("imagined", imagined)
    config = (
        PPOConfig()
        .environment("imagined", env_config=settings)
        .env_runners(
            num_env_runners=0,  # imagine in this process
            num_envs_per_env_runner=num_envs,
            gym_env_vectorize_mode="vector_entry_point",
            rollout_fragment_length=rollout,
        )
        .training(
            train_batch_size=batch,
            minibatch_size=batch // 4,
            num_epochs=3,
            gamma=0.98,
            lr=5e-4,
            entropy_coeff=0.01,
        )
        .debugging(seed=seed)
    )
    ray.init(include_dashboard=False)
    algorithm = config.build_algo()
    for update in range(steps // batch):
        told = algorithm.train()["env_runners"].get("episode_return_mean")
        recent = "none yet" if told is None or np.isnan(told) else f"{told:.3f}"
        print(f"{(update + 1) * batch} steps, return of the last episodes: {recent}", flush=True)
    episodes = algorithm.env_runner.sample(num_episodes=num_envs, explore=True)
    mean = np.mean([episode.get_return() for episode in episodes])
    algorithm.stop()
    ray.shutdown()
    print(f"mean return in imagination over {len(episodes)} episodes: {mean:.3f}")


if __name__ == "__main__":
    tyro.cli(main)
