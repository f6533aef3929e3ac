"""A planner: tries sequences of actions in a world's imagination and takes the best one's first.

The cross-entropy method (Rubinstein 1997) over choices; with one iteration it is random shooting.
The world is shown every true frame; all branches are forks of that present, one batch.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

import worldmodel_env  # noqa: F401  registers the imagined environments
from agents.network import Agent
from worldmodel_env.errors import InputError


class Planner:
    """Acts in one episode, of a simulator or of imagination, by planning in a world.

    Args:
        imagined: id of the imagined environment to plan in.
        kwargs: of it, such as world=.
        horizon: steps looked ahead, H.
        branches: sequences tried at a time, N.
        iterations: how often the sequences are drawn anew, around the best of before.
        elite: share of the sequences that count as the best.
        gamma: discount of a step.
        surprise: reward taken away per nat of the world's surprise.
        agent: whose value stands for what comes after H steps, and nothing else; None: nothing.

    Raises:
        InputError: a number out of its range, or actions that are not Discrete.
    """

    def __init__(
        self,
        imagined: str = "TecoMaze-v0",
        kwargs: Mapping[str, Any] | None = None,
        *,
        horizon: int = 12,
        branches: int = 64,
        iterations: int = 2,
        elite: float = 0.125,
        gamma: float = 0.98,
        surprise: float = 0.0,
        agent: Agent | None = None,
    ) -> None:
        counts = {"horizon": horizon, "branches": branches, "iterations": iterations}
        for name, value in counts.items():
            if value < 1:
                raise InputError(f"{name} is {value}; give 1 or more.")
        if not 0 < elite <= 1:
            raise InputError(f"elite is {elite}; give a share above 0, at most 1.")
        self._env = gymnasium.make(
            imagined, **{**(kwargs or {}), "max_episode_steps": -1}, disable_env_checker=True
        ).unwrapped
        if not isinstance(self._env.action_space, spaces.Discrete):
            raise InputError(
                f"the planner draws from choices, {imagined} takes {self._env.action_space}; use a "
                "world with Discrete actions."
            )
        self.choices = int(self._env.action_space.n)
        self.horizon, self.branches, self.iterations = horizon, branches, iterations
        self.elites = max(1, round(elite * branches))
        self.gamma, self.surprise, self.agent = gamma, surprise, agent

    def reset(self, env: Any, seed: int) -> None:
        """Begin an episode; plans draw from its seed.

        Raises:
            InputError: the environment's spaces are not the world's.
        """
        own = self._env.observation_space, self._env.action_space
        theirs = (
            getattr(env, "single_observation_space", env.observation_space),
            getattr(env, "single_action_space", env.action_space),
        )
        if own != theirs:
            raise InputError(
                f"the planner's world has {own[0]} and {own[1]}, this environment has {theirs[0]} "
                f"and {theirs[1]}; plan in a world of the same simulator."
            )
        self._random = np.random.default_rng(seed)
        self._last: int | None = None
        self._chances = np.full((self.horizon, self.choices), 1 / self.choices)
        self._seed = seed
        if self.agent is not None:
            self._memory = self.agent.blank(1)

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """Show the world what is seen, plan, and take the first action."""
        world: Any = self._env
        frame = np.asarray(obs)
        if self._last is None:
            context = (frame[None], np.empty(0, np.int64))
            world.reset(seed=self._seed, options={"context": context})
        else:
            world.observe(frame, self._last)
        self._last = action = self._plan(frame)
        return action

    def _plan(self, frame: NDArray[np.uint8]) -> int:
        chances = self._chances
        best, best_score = 0, -np.inf
        for _ in range(self.iterations):
            drawn = self._random.random((self.branches, self.horizon, 1))
            plans = (chances.cumsum(-1)[None] < drawn).sum(-1).clip(max=self.choices - 1)
            scores = self._imagine(plans, frame)
            order = np.argsort(-scores, kind="stable")
            if scores[order[0]] > best_score:
                best, best_score = int(plans[order[0], 0]), float(scores[order[0]])
            counts = np.stack(
                [(plans[order[: self.elites]] == c).mean(0) for c in range(self.choices)], -1
            )
            # Nothing found (all alike): what was drawn first is no better than the rest.
            if np.ptp(scores) > 0:
                chances = 0.9 * counts + 0.1 / self.choices
        flat = np.full((1, self.choices), 1 / self.choices)
        # The plan goes on where this step leaves it.
        self._chances = 0.5 * np.concatenate([chances[1:], flat]) + 0.5 / self.choices
        if self.agent is not None:
            seen = torch.from_numpy(np.array(frame))[None]
            known = self.agent(seen, self._memory)[2]
            self._memory = self.agent.remember(known, torch.tensor([[best]]))
        return best

    @torch.no_grad()
    def _imagine(self, plans: NDArray[np.int64], frame: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Discounted returns (N,) of plans (N, H)."""
        forks: Any = self._env.fork(len(plans), fresh_noise=True)  # type: ignore[attr-defined]
        memory = None if self.agent is None else self._memory.repeat(len(plans), 1)
        seen = np.broadcast_to(frame, (len(plans), *frame.shape))
        scores, going = np.zeros(len(plans)), np.ones(len(plans))
        for t in range(self.horizon):
            if self.agent is not None:
                known = self.agent(torch.from_numpy(seen.copy()), memory)[2]
                memory = self.agent.remember(known, torch.from_numpy(plans[:, t : t + 1]))
            seen, reward, terminated, _, info = forks.step(plans[:, t])
            cost = self.surprise * info.get("surprise", np.zeros(len(plans)))
            # A fork that has ended begins anew in the next step; it counts no more.
            scores += self.gamma**t * going * (reward - cost)
            going *= ~terminated
        if self.agent is not None:
            value = self.agent(torch.from_numpy(seen.copy()), memory)[1].cpu().numpy()
            scores += self.gamma**self.horizon * going * value
        return scores
