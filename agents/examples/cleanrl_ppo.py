"""PPO in imagination in one file, top to bottom, after CleanRL's manner.

    python agents/examples/cleanrl_ppo.py --steps 20000

Needs no more than the package itself. N worlds are one batch, and observations, actions and rewards
stay on the device that imagines.
"""

import time
from dataclasses import dataclass

import gymnasium
import torch
import tyro
from torch import Tensor, nn
from torch.distributions import Categorical

import worldmodel_env  # noqa: F401  registers the environments


@dataclass
class Args:
    """What to train, where and how long."""

    world: str = "maze"
    """A shipped world's name, or a world's folder."""
    num_envs: int = 16
    """Worlds imagined in one batch."""
    max_episode_steps: int = 300
    """Of an episode."""
    steps: int = 20_000
    """Environment steps of all worlds together."""
    rollout: int = 64
    """Steps of each world between two updates."""
    seed: int = 0
    """Of the worlds and the network."""
    learning_rate: float = 5e-4
    gamma: float = 0.98
    """Discount of a step."""
    gae_lambda: float = 0.95
    epochs: int = 3
    """Passes over the data of each update."""
    minibatches: int = 4
    clip: float = 0.2
    """How far the ratio of new to old probability counts."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    value: float = 0.5
    """Weight of the value loss."""


class Agent(nn.Module):
    """Policy and value of an image, with a convolutional trunk in common."""

    def __init__(self, frame: tuple[int, ...], actions: int) -> None:
        super().__init__()
        height, width, channels = frame
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, 32, 8, 4), nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2), nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1), nn.ReLU(),
            nn.Flatten(),
        )  # fmt: skip
        features = self.trunk(torch.zeros(1, channels, height, width)).shape[1]
        self.hidden = nn.Sequential(nn.Linear(features, 256), nn.ReLU())
        self.actor = nn.Linear(256, actions)
        self.critic = nn.Linear(256, 1)
        nn.init.orthogonal_(self.actor.weight, 0.01)  # begin with all actions alike

    def forward(self, obs: Tensor) -> tuple[Categorical, Tensor]:
        """Frames (B, H, W, C) uint8 -> distribution over the actions, values (B,)."""
        hidden = self.hidden(self.trunk(obs.permute(0, 3, 1, 2) / 255))
        return Categorical(logits=self.actor(hidden)), self.critic(hidden).squeeze(-1)


def main(args: Args) -> None:
    """Train, then act one more episode in each world."""
    torch.manual_seed(args.seed)
    envs = gymnasium.make_vec(
        "TecoMaze-v0",
        num_envs=args.num_envs,
        world=args.world,
        max_episode_steps=args.max_episode_steps,
        autoreset_mode="SameStep",
        output="torch",
    )
    assert isinstance(envs.single_action_space, gymnasium.spaces.Discrete)
    obs, _ = envs.reset(seed=args.seed)
    device, t, n = obs.device, args.rollout, args.num_envs
    agent = Agent(obs.shape[1:], envs.single_action_space.n).to(device)
    optimizer = torch.optim.Adam(agent.parameters(), args.learning_rate, eps=1e-5)

    frames = torch.empty(t, *obs.shape, dtype=torch.uint8, device=device)
    actions = torch.empty(t, n, dtype=torch.int64, device=device)
    logprobs, values, rewards, lasts = torch.empty(4, t, n, device=device)
    returns, finished, began = torch.zeros(n, device=device), [], time.monotonic()

    for update in range(1, args.steps // (t * n) + 1):
        for i in range(t):
            with torch.no_grad():
                policy, values[i] = agent(obs)
            frames[i], actions[i] = obs, policy.sample()
            logprobs[i] = policy.log_prob(actions[i])
            obs, rewards[i], terminated, truncated, info = envs.step(actions[i])
            returns += rewards[i]
            lasts[i] = terminated | truncated
            for row in torch.nonzero(lasts[i]).flatten().tolist():
                finished.append(returns[row].item())
                returns[row] = 0
                if not terminated[row]:  # the time limit is not an end: what was yet to come counts
                    with torch.no_grad():
                        rewards[i, row] += args.gamma * agent(info["final_obs"][row][None])[1][0]

        advantages, advantage = torch.empty_like(rewards), torch.zeros(n, device=device)
        with torch.no_grad():
            following = agent(obs)[1]
        for i in reversed(range(t)):
            going = 1 - lasts[i]
            delta = rewards[i] + args.gamma * following * going - values[i]
            advantage = delta + args.gamma * args.gae_lambda * going * advantage
            advantages[i], following = advantage, values[i]
        targets = (advantages + values).flatten()
        advantages = ((advantages - advantages.mean()) / (advantages.std() + 1e-8)).flatten()

        for _ in range(args.epochs):
            for rows in torch.randperm(t * n, device=device).chunk(args.minibatches):
                policy, value = agent(frames.flatten(0, 1)[rows])
                ratio = (policy.log_prob(actions.flatten()[rows]) - logprobs.flatten()[rows]).exp()
                clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
                gain = torch.min(ratio * advantages[rows], clipped * advantages[rows]).mean()
                error = (value - targets[rows]).square().mean()
                loss = args.value * error - gain - args.entropy * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()

        steps, recent = update * t * n, finished[-50:]
        mean = f"{sum(recent) / len(recent):.3f}" if recent else "none yet"
        speed = steps / (time.monotonic() - began)
        print(
            f"{steps} steps, {speed:.0f} steps/s, return of the last episodes: {mean}", flush=True
        )

    obs, _ = envs.reset()
    returns, going = torch.zeros(n, device=device), torch.ones(n, dtype=torch.bool, device=device)
    while going.any():
        with torch.no_grad():
            action = agent(obs)[0].sample()
        obs, reward, terminated, truncated, _ = envs.step(action)
        returns += reward * going
        going &= ~(terminated | truncated)
    print(f"mean return in imagination over {n} episodes: {returns.mean():.3f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
