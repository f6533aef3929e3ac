"""Tianshou's PPO learns in imagination, in single worlds (docs/rl-libraries.md)."""

from typing import Any

import gymnasium
import torch
import tyro
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import ModuleWithVectorOutput
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic
from torch import Tensor, nn

import worldmodel_env  # noqa: F401  registers the environments


class Trunk(ModuleWithVectorOutput):
    """What actor and critic see of a frame."""

    def __init__(self) -> None:
        super().__init__(output_dim=256)
        layers = [nn.LazyConv2d(32, 8, 4), nn.ReLU(), nn.LazyConv2d(64, 4, 2), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(256), nn.ReLU())

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[Tensor, Any]:
        """Frames (B, H, W, C) uint8 -> (B, 256), and the state as it was."""
        return self.net(torch.as_tensor(obs).permute(0, 3, 1, 2) / 255), state


def main(
    world: str = "maze",
    num_envs: int = 4,
    max_episode_steps: int = 300,
    steps: int = 5_000,
    rollout: int = 128,
    seed: int = 0,
) -> None:
    """Train, then act one more episode in each world.

    Args:
        world: a shipped world's name, or a world's folder.
        num_envs: worlds, stepped one after another.
        max_episode_steps: of an episode.
        steps: environment steps of all worlds together.
        rollout: steps of each world between two updates.
        seed: of the worlds and the networks.
    """
    torch.manual_seed(seed)
    settings: dict[str, Any] = {"world": world, "max_episode_steps": max_episode_steps}
    envs = DummyVectorEnv([lambda: gymnasium.make("TecoMaze-v0", **settings)] * num_envs)
    envs.seed(seed)
    trunk, actions = Trunk(), envs.action_space[0]
    trunk(envs.reset()[0])  # the lazy layers take their sizes
    actor = DiscreteActor(preprocess_net=trunk, action_shape=actions.n, softmax_output=False)
    algorithm = PPO(
        policy=DiscreteActorPolicy(actor=actor, action_space=actions),
        critic=DiscreteCritic(preprocess_net=trunk),
        optim=AdamOptimizerFactory(lr=5e-4),
        gamma=0.98,
    )
    batch = num_envs * rollout
    training = OnPolicyTrainerParams(
        training_collector=Collector(algorithm, envs, VectorReplayBuffer(batch, num_envs)),
        max_epochs=steps // batch,
        epoch_num_steps=batch,
        collection_step_num_env_steps=batch,
        update_step_num_repetitions=3,
        batch_size=batch // 4,
    )
    algorithm.run_training(training)
    last = Collector(algorithm, envs).collect(n_episode=num_envs, reset_before_collect=True)
    print(f"mean return in imagination over {num_envs} episodes: {last.returns.mean():.3f}")


if __name__ == "__main__":
    tyro.cli(main)
