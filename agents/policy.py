"""Trained agents as policies: in a batch to evaluate, one at a time for the recorder."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.distribution import from_env, parts, to_env
from agents.network import Agent, AgentConfig, load_agent


class Batch(Protocol):
    """Who acts in N episodes at a time."""

    def begin(self, row: int, env: Any, seed: int) -> None:
        """An episode begins in a row; `env` has just been reset."""

    def act(self, obs: Tensor) -> NDArray:
        """N actions for (N, H, W, C) frames."""


@torch.no_grad()
def remembered(agent: Agent, frames: Tensor, actions: NDArray) -> Tensor:
    """What an agent knows (N, M) of episodes so far.

    Args:
        agent: the network.
        frames: (N, T, H, W, C) uint8.
        actions: (N, T, ...), what was done on seeing each, as environments take them.
    """
    memory = agent.blank(len(frames))
    for t in range(frames.shape[1] if agent.recurrent else 0):
        known = agent(frames[:, t].to(agent.device), memory)[2]
        done = from_env(agent.config.actions, actions[:, t])
        memory = agent.remember(known, done.to(agent.device))
    return memory


class Actors:
    """A trained agent in N episodes at a time.

    Args:
        agent: the network.
        rows: N.
        greedy: take the likeliest action instead of drawing; in mazes this may walk in circles.
    """

    def __init__(self, agent: Agent, rows: int, *, greedy: bool = False) -> None:
        self.agent, self.greedy = agent, greedy
        self._memory = agent.blank(rows)
        self._random = [np.random.default_rng(0) for _ in range(rows)]

    @classmethod
    def of(cls, agent: Agent, *, greedy: bool = False) -> "Callable[[int], Actors]":
        """What `evaluate` wants: makes so many."""
        return partial(cls, agent, greedy=greedy)

    def begin(self, row: int, env: Any, seed: int) -> None:
        """Forget, and draw from the episode's own seed."""
        own = AgentConfig.of(
            getattr(env, "single_observation_space", env.observation_space),
            getattr(env, "single_action_space", env.action_space),
        )
        self.agent.config.check(own, "this environment")
        self._memory[row] = 0
        self._random[row] = np.random.default_rng((seed, 1))

    def follow(self, frames: Tensor, actions: NDArray) -> None:
        """Go on from what others did: arguments as of `remembered`, N of all rows."""
        self._memory = remembered(self.agent, frames, actions)

    @torch.no_grad()
    def act(self, obs: Tensor) -> NDArray:
        """One action for each row."""
        actions = self.agent.config.actions
        policy, _, known = self.agent(obs.to(self.agent.device), self._memory)
        if self.greedy:
            action = policy.mode()
        else:
            drawn = np.stack([r.random(parts(actions), np.float32) for r in self._random])
            action = policy.sample(torch.from_numpy(drawn).to(known.device))
        self._memory = self.agent.remember(known, action)
        return to_env(actions, action)


class AgentPolicy:
    """A trained agent in the recorder's protocol: `reset(env, seed)`, then `act(env, obs, info)`.

    Args:
        folder: where `worldmodel agent train` left it.
        greedy: as of `Actors`.
    """

    def __init__(self, folder: Path | str, *, greedy: bool = False) -> None:
        self._actors = Actors(load_agent(Path(folder)), 1, greedy=greedy)

    def reset(self, env: Any, seed: int) -> None:
        """Begin an episode.

        Raises:
            InputError: the environment's spaces are not the agent's.
        """
        self._actors.begin(0, env, seed)

    def act(self, env: Any, obs: NDArray[np.uint8], info: dict[str, Any]) -> Any:
        """The next action, as `env.step` takes it."""
        return self._actors.act(torch.as_tensor(np.array(obs))[None])[0]
