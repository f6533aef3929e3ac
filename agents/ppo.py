"""Proximal policy optimisation (Schulman et al. 2017), in simulators and in imagination.

    python agents/ppo.py --env TecoMaze-v0 --out runs/imagined
    python agents/ppo.py --env SimMaze-v0 --env-kwargs size=5 --num-envs 16 --rollout 128 \\
        --out runs/simulated

The loop is `train`, read from top to bottom. Run the same command again to go on: a resumed
training is the undisturbed one, to the bit. For that, all episodes begin anew after each
checkpoint, interrupted or not, and every update draws its random numbers from its own seed.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from torch import nn

from agents.branching import open_envs
from agents.distribution import parts, to_env
from agents.envs import parse_kwargs
from agents.evaluate import evaluate
from agents.network import Agent, AgentConfig, same_architecture
from agents.policy import Actors
from worldmodel_env.data.schema import SEED_BASE
from worldmodel_env.errors import InputError
from worldmodel_env.training.budget import Clock
from worldmodel_env.training.checkpoint import Checkpoint, save_checkpoint
from worldmodel_env.training.interrupt import Interrupt
from worldmodel_env.training.log import RunLog


@dataclass(frozen=True)
class Args:
    """What to train, where and how long."""

    out: Path
    """Folder of the checkpoint, metrics.jsonl, TensorBoard's events and videos."""
    env: str = "TecoMaze-v0"
    """A Gymnasium id of this project, or "module:id"."""
    env_kwargs: tuple[str, ...] = ()
    """Arguments of the environment, such as size=5 or world=runs/maze/world."""
    num_envs: int = 64
    """Environments, of which imagined ones are one batch."""
    mode: Literal["sync", "async"] = "sync"
    """How environments without a batch of their own run: in this process, or in one each."""
    steps: int = 300_000
    """Environment steps of all environments together; a finished training goes on if given more."""
    seed: int = 0
    """Of the environments, the weights and all draws."""
    device: str = "auto"
    """auto, cpu, cuda, ..."""
    threads: int = 1
    """CPU threads of the network."""
    memory: Literal["gru", "none"] = "gru"
    """Whether the policy remembers, or acts by the present frame alone."""
    width: int = 16
    """Channels of the first convolution."""
    hidden: int = 256
    """Units of the hidden layer and of the memory."""
    rollout: int = 64
    """Steps of each environment between two updates."""
    learning_rate: float = 5e-4
    """Adam's, falling linearly to zero."""
    gamma: float = 0.99
    """Discount of a step."""
    gae_lambda: float = 0.95
    """Of the generalised advantage estimate (Schulman et al. 2016)."""
    epochs: int = 3
    """Passes over the data of each update."""
    minibatches: int = 4
    """Parts of a pass, each of whole environments, so that the memory can be unrolled."""
    clip: float = 0.2
    """How far the ratio of new to old probability counts."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    value: float = 0.5
    """Weight of the value loss."""
    clip_norm: float = 0.5
    """Largest norm of the gradient."""
    surprise: float = 0.0
    """Reward taken away per nat of the world's surprise at what it imagined."""
    branch: int = 0
    """Steps after which imagined episodes, begun at recorded moments, are cut; 0: do not."""
    branch_data: Path | None = None
    """Data set of those moments."""
    branch_context: int = 32
    """Recorded frames that such an episode is given first; what they do not show is invented."""
    branch_hindsight: int = 0
    """Moments to prepare, of which a world that recalls knows the whole recording: there it invents
    only what the recording never showed. In `maze` each takes a third of a second, and 2.5 MB of
    memory. 0: any moment, and the world knows no more than above."""
    begin_with: Path | None = None
    """A trained agent to begin with, instead of random weights."""
    checkpoint_every: int = 20
    """Updates between checkpoints, after each of which all episodes begin anew."""
    evaluate_env: str = ""
    """Environment to evaluate in during training; none if empty."""
    evaluate_kwargs: tuple[str, ...] = ()
    """Its arguments; simulators with splits: split=validation, so that tests stay unseen."""
    evaluate_every: int = 20
    """Updates between evaluations."""
    evaluate_episodes: int = 20
    """Episodes of an evaluation, of which the first is filmed."""


def train(args: Args) -> Path:
    """Train, or go on with what is in `args.out`; returns that folder.

    Raises:
        InputError: spaces, arguments or a checkpoint that do not fit, or a loss that is no number.
    """
    for name in ("steps", "rollout", "epochs", "minibatches", "checkpoint_every", "evaluate_every"):
        if getattr(args, name) < 1:
            raise InputError(f"{name} is {getattr(args, name)}; give 1 or more.")
    if args.num_envs % args.minibatches:
        raise InputError(
            f"{args.num_envs} environments do not part into {args.minibatches} minibatches; give a "
            "multiple."
        )
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    envs = open_envs(args)
    device, t, n = envs.device, args.rollout, args.num_envs
    config = AgentConfig.of(
        envs.single_observation_space, envs.single_action_space,
        memory=args.memory, width=args.width, hidden=args.hidden,
    )  # fmt: skip
    agent = same_architecture(args.begin_with, config) if args.begin_with else Agent(config)
    agent.to(device)
    optimizer = torch.optim.Adam(agent.parameters(), args.learning_rate, eps=1e-5)
    networks: dict[str, nn.Module | torch.optim.Optimizer]
    networks = {"model": agent, "optimizer": optimizer}

    updates, update, seconds = math.ceil(args.steps / (t * n)), 0, 0.0
    same = _same(args)
    if checkpoint := Checkpoint.find(args.out):
        checkpoint.restore(networks, config=config, same=same)
        update, seconds = checkpoint.counters["update"], checkpoint.counters["seconds"]
    clock = Clock(seconds)
    if update >= updates:
        envs.close()
        return args.out

    draws = torch.Generator(device)
    width = parts(config.actions)
    frames = torch.empty(t, n, *config.frame, dtype=torch.uint8, device=device)
    memories = torch.empty(t, n, agent.blank(1).shape[1], device=device)
    dtype = torch.float32 if config.actions.kind == "box" else torch.int64
    actions = torch.empty(t, n, width, dtype=dtype, device=device)
    logprobs, values, rewards = torch.empty(3, t, n, device=device)
    began, lasts = torch.zeros(2, t, n, dtype=torch.bool, device=device)
    returns, lengths = np.zeros((2, n))
    finished: list[tuple[float, float, float]] = []
    anew = True  # a finished training may have ended between two checkpoints

    with (
        RunLog(args.out, "ppo", step=update * t * n, progress=update / updates) as log,
        Interrupt() as signals,
    ):
        while update < updates and not signals.asked:
            draws.manual_seed(args.seed * 1_000_003 + update)
            if anew or update % args.checkpoint_every == 0:
                anew = False
                obs = envs.reset(seed=args.seed * 10_000_019 + update * n)
                memory = envs.memory(agent)
                first = torch.ones(n, dtype=torch.bool, device=device)
                returns[:], lengths[:] = 0, 0

            # Act.
            for i in range(t):
                with torch.no_grad():
                    policy, values[i], known = agent(obs, memory)
                    frames[i], memories[i], began[i] = obs, memory, first
                    actions[i] = policy.sample(torch.rand(n, width, generator=draws, device=device))
                    logprobs[i] = policy.log_prob(actions[i])
                    memory = agent.remember(known, actions[i])
                    got = envs.step(to_env(config.actions, actions[i]))
                    rewards[i] = got.reward - args.surprise * got.surprise
                    first = lasts[i] = got.terminated | got.truncated
                    cut = got.truncated & ~got.terminated
                    if cut.any():  # a limit is not an end: what was yet to come counts
                        ahead = agent(got.final_obs[cut], memory[cut])[1]
                        rewards[i, cut] += args.gamma * ahead
                    if first.any():
                        memory = torch.where(first[:, None], envs.memory(agent, got), memory)
                obs = got.obs
                returns += got.reward.cpu().numpy()
                lengths += 1
                for row in np.flatnonzero(first.cpu()):
                    reached = bool(got.terminated[row]) and returns[row] > 0
                    finished.append((returns[row], lengths[row], reached))
                    returns[row] = lengths[row] = 0

            # How much better than expected was it?
            with torch.no_grad():
                following, advantage = agent(obs, memory)[1], torch.zeros(n, device=device)
                advantages = torch.empty_like(rewards)
                for i in reversed(range(t)):
                    going = (~lasts[i]).float()
                    delta = rewards[i] + args.gamma * following * going - values[i]
                    advantage = delta + args.gamma * args.gae_lambda * going * advantage
                    advantages[i], following = advantage, values[i]
                targets = advantages + values
                advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

            # Learn.
            for group in optimizer.param_groups:
                group["lr"] = args.learning_rate * (1 - update / updates)
            for _ in range(args.epochs):
                order = torch.randperm(n, generator=draws, device=device)
                for rows in order.chunk(args.minibatches):
                    policy, value = agent.unroll(
                        frames[:, rows], memories[:, rows], actions[:, rows], began[:, rows]
                    )
                    new = policy.log_prob(actions[:, rows].flatten(0, 1))
                    ratio = (new - logprobs[:, rows].flatten()).exp()
                    gains = advantages[:, rows].flatten()
                    clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
                    gain = torch.min(ratio * gains, clipped * gains).mean()
                    error = (value - targets[:, rows].flatten()).square().mean()
                    entropy = policy.entropy().mean()
                    loss = args.value * error - gain - args.entropy * entropy
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                    norm = nn.utils.clip_grad_norm_(agent.parameters(), args.clip_norm)
                    if not torch.isfinite(norm + loss):
                        raise InputError(
                            f"the loss is {loss.item()} at update {update} and training stopped; "
                            f"the last checkpoint in {args.out} is kept: go on from it in another "
                            "--out (--begin-with) with a lower --learning-rate."
                        )
                    optimizer.step()
            update += 1

            # Tell, look, save.
            metrics = {
                "loss": loss.item(), "value_error": error.item(), "entropy": entropy.item(),
                "value_mean": values.mean().item(), "surprise": got.surprise.mean().item(),
                "explained": _explained(targets, values), "seconds": clock.seconds,
            }  # fmt: skip
            if finished:
                recent = map(float, np.mean(finished[-200:], axis=0))
                metrics |= dict(zip(("return", "length", "success"), recent, strict=True))
                del finished[:-200]
            if update == updates or update % args.evaluate_every == 0:
                metrics |= _look(args, agent, update * t * n)
            log.write(update * t * n, **metrics)
            log.progress(update / updates, success=metrics.get("success", 0.0))
            if update == updates or update % args.checkpoint_every == 0:
                finished.clear()
                steps = {"update": update, "step": update * t * n, "seconds": clock.seconds}
                save_checkpoint(args.out, networks, config=config, counters={**same, **steps})
                log.say(f"{update * t * n} steps, {clock.seconds:.0f} s: {_gist(metrics)}")
    envs.close()
    return args.out


def _look(args: Args, agent: Agent, step: int) -> dict[str, float]:
    """Evaluate in another environment, and film the first episode."""
    if not args.evaluate_env:
        return {}
    scores = evaluate(
        args.evaluate_env,
        Actors.of(agent),
        [SEED_BASE["validation"] + i for i in range(args.evaluate_episodes)],
        kwargs=parse_kwargs(args.evaluate_kwargs),
        num_envs=min(8, args.evaluate_episodes),
        device=args.device,
        films={0: args.out / f"episode-{step}.mp4"},
    )
    return {
        "evaluation_success": float(scores.success.mean()),
        "evaluation_return": float(scores.returns.mean()),
        "evaluation_steps": float(scores.steps.mean()),
    }


def _same(args: Args) -> dict[str, object]:
    """What a resumed training must name as before: all but what does not change its numbers."""
    free = ("out", "device", "threads", "mode", "steps")  # more steps go on from these
    given = {name: value for name, value in vars(args).items() if name not in free}
    return {k: list(v) if isinstance(v, tuple) else _plain(v) for k, v in given.items()}


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _explained(targets: torch.Tensor, values: torch.Tensor) -> float:
    """Share of the targets' variance that the values had foreseen."""
    return float(1 - (targets - values).var() / (targets.var() + 1e-8))


def _gist(metrics: dict[str, float]) -> str:
    names = ("return", "success", "entropy", "evaluation_success")
    return ", ".join(f"{name} {metrics[name]:.3f}" for name in names if name in metrics)


if __name__ == "__main__":
    print(train(tyro.cli(Args)))
