"""TorchRL's PPO learns in imagination: N worlds, one batch (docs/rl-libraries.md)."""

import gymnasium
import torch
import tyro
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import Compose, GymWrapper, InitTracker, RewardSum, ToTensorImage, TransformedEnv
from torchrl.modules import ConvNet, ProbabilisticActor, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import worldmodel_env  # noqa: F401  registers the environments


def main(world: str = "maze", num_envs: int = 16, max_episode_steps: int = 300,
         steps: int = 20_000, rollout: int = 64, seed: int = 0) -> None:  # fmt: skip
    """Train, then act one more episode in each world.

    Args:
        world: a shipped world's name, or a world's folder.
        num_envs: worlds imagined in one batch.
        max_episode_steps: of an episode.
        steps: environment steps of all worlds together.
        rollout: steps of each world between two updates.
        seed: of the worlds and the networks.
    """
    torch.manual_seed(seed)
    worlds = gymnasium.make_vec("TecoMaze-v0", num_envs, autoreset_mode="Disabled", world=world,
                                max_episode_steps=max_episode_steps)  # fmt: skip
    images = Compose(ToTensorImage(in_keys=["observation"]), InitTracker(), RewardSum())
    env = TransformedEnv(GymWrapper(worlds, categorical_action_encoding=True), images)
    env.set_seed(seed)
    cells = {"num_cells": [16, 32, 32], "kernel_sizes": [8, 4, 3], "strides": [4, 2, 2]}
    nets = [nn.Sequential(ConvNet(**cells), nn.LazyLinear(n)) for n in (env.action_spec.n, 1)]
    policy = TensorDictModule(nets[0], ["observation"], ["logits"])
    draws = {"distribution_class": torch.distributions.Categorical, "return_log_prob": True}
    actor = ProbabilisticActor(policy, ["logits"], default_interaction_type="random", **draws)
    critic = ValueOperator(nets[1], ["observation"])
    critic(actor(env.reset()))  # the lazy layers take their sizes
    gae, loss = GAE(gamma=0.98, lmbda=0.95, value_network=critic), ClipPPOLoss(actor, critic)
    optimizer = torch.optim.Adam(loss.parameters(), 3e-4)
    batch = num_envs * rollout
    collector = Collector(env, actor, frames_per_batch=batch)
    for step, data in zip(range(batch, steps + 1, batch), collector, strict=False):
        for _ in range(3):
            for minibatch in gae(data).reshape(-1)[torch.randperm(batch)].split(batch // 4):
                losses = loss(minibatch)
                optimizer.zero_grad()
                sum(losses[f"loss_{of}"] for of in ("objective", "critic", "entropy")).backward()
                optimizer.step()
        print(f"{step} steps, mean reward {data['next', 'reward'].mean():.5f}", flush=True)
    last = env.rollout(max_episode_steps, actor, break_when_any_done=False)["next"]
    returns = last["episode_reward"].gather(1, last["done"].int().argmax(1, keepdim=True))
    print(f"mean return in imagination over {len(returns)} episodes: {returns.mean():.3f}")


if __name__ == "__main__":
    tyro.cli(main)
