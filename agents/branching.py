"""Short imagined roll-outs that begin at recorded moments (after Janner et al. 2019, MBPO).

Long imagined episodes carry the model's error. Here an episode begins with a few recorded frames
and is cut after H steps, where the value stands for all that would come.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from torch import Tensor

from agents.envs import Envs, Step, parse_kwargs
from agents.hindsight import Library
from agents.network import Agent
from agents.policy import remembered
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from agents.ppo import Args


class Plain(Envs):
    """Episodes that begin as the environment begins them: nothing is remembered."""

    def memory(self, agent: Agent, step: Step | None = None) -> Tensor:
        """Memories (N, M) of rows that have just begun."""
        return agent.blank(self.num_envs)


class Branches(Plain):
    """Imagined episodes of at most `horizon` steps from moments of a data set.

    Args:
        name: an imagined environment's id.
        num_envs: N.
        kwargs: of the environment.
        data: the data set; its training episodes are used.
        context: recorded frames that an episode is given, C.
        horizon: H.
        hindsight: moments to prepare, of which the world knows the whole recording; 0: it knows the
            C frames, of any moment.
        device: as of `Envs`.

    Raises:
        InputError: the environment is not imagined, or the data set does not fit.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        kwargs: dict[str, Any],
        *,
        data: Path,
        context: int,
        horizon: int,
        hindsight: int = 0,
        device: str = "auto",
    ) -> None:
        super().__init__(name, num_envs, kwargs, device=device, autoreset=AutoresetMode.DISABLED)
        if not self.imagined:
            raise InputError(f"{name} is not imagined and cannot begin at a recorded moment.")
        if horizon < 1 or context < 1 or hindsight < 0:
            raise InputError(
                f"branch {horizon} with context {context} and hindsight {hindsight}; give 1 or "
                "more of the first two, and 0 or more moments."
            )
        self._data, self._horizon, self._context = TrajectoryDataset.open(data), horizon, context
        # From an episode's last frame nothing can go on.
        refs = self._data.episodes("train")
        self._refs = [ref for ref in refs if ref.total_steps >= context]
        if not self._refs:
            raise InputError(
                f"{data} has no training episode of {context} steps; record some, or give a "
                "shorter --branch-context."
            )
        if (own := self._data.action_space) != self.single_action_space:
            raise InputError(
                f"{data} has actions {own}, {name} takes {self.single_action_space}; give the data "
                "set of the same simulator."
            )
        # An episode's share is its length, so that all moments are alike.
        lengths = np.array([ref.total_steps for ref in self._refs], float)
        self._shares = lengths / lengths.sum()
        self._random = np.random.default_rng(0)
        frames, actions = self._read(*self._draw())
        self._frames, self._next_frames = np.zeros((2, num_envs, *frames.shape), frames.dtype)
        self._actions, self._next_actions = np.zeros((2, num_envs, *actions.shape), actions.dtype)
        # Episodes are begun ahead of time, many at once: the world observes all rows or none, so
        # that one alone would cost as much.
        self.env.reset()
        self._ahead: Any = self.env.fork(1)  # type: ignore[attr-defined]
        self._ready = np.zeros(num_envs, np.bool_)
        self._moments = [self._draw() for _ in range(hindsight)]
        self._library: Library | None = None  # takes minutes, and may never be asked for

    def reset(self, seed: Any, rows: NDArray[np.bool_] | None = None) -> Tensor:
        """Begin all episodes, at moments that the seed draws."""
        everyone = np.ones(self.num_envs, bool)
        self._random = np.random.default_rng(seed)
        self._steps = np.zeros(self.num_envs, np.int64)
        self._prepare(everyone, seed)
        return self._begin(everyone)

    def step(self, actions: NDArray) -> Step:
        """Step, and begin anew what ended or was cut."""
        got = super().step(actions)
        self._steps += 1
        # Not all in one step: those that ended early stay out of step, which spreads the work.
        terminated = got.terminated.cpu().numpy()
        cut = (self._steps >= self._horizon) & ~terminated
        ended = terminated | cut | got.truncated.cpu().numpy()
        obs = self._begin(ended) if ended.any() else got.obs
        truncated = torch.as_tensor(ended & ~terminated, device=self.device)
        return Step(obs, got.reward, got.terminated, truncated, got.obs, got.surprise)

    def memory(self, agent: Agent, step: Step | None = None) -> Tensor:
        """What the agent remembers, in rows that have just begun, of the recorded frames before."""
        memory = agent.blank(self.num_envs)
        rows = self._steps == 0
        if agent.recurrent and rows.any():
            frames = torch.from_numpy(self._frames[rows, :-1])
            memory[torch.from_numpy(rows)] = remembered(agent, frames, self._actions[rows])
        return memory

    def _begin(self, rows: NDArray[np.bool_]) -> Tensor:
        if not self._ready[rows].all():
            self._prepare(~self._ready)
        self._frames[rows], self._actions[rows] = self._next_frames[rows], self._next_actions[rows]
        self._ready[rows] = False
        self._steps[rows] = 0
        self._lasted[rows] = 0
        return self._tensor(self.env.adopt(self._ahead, rows))  # type: ignore[attr-defined]

    def _prepare(self, rows: NDArray[np.bool_], seed: int | None = None) -> None:
        """Begin the next episodes of some rows, or all of them anew from a seed."""
        if self._moments:
            self._library = self._library or Library.of(
                self._ahead, self._data, self._moments, self._context
            )
            return self._take(self._library, rows)
        for row in np.flatnonzero(rows):
            self._next_frames[row], self._next_actions[row] = self._read(*self._draw())
        context = self._next_frames, self._next_actions
        self._ahead.reset(seed=seed, options={"context": context, "reset_mask": rows})
        self._ready[:] = True

    def _take(self, library: Library, rows: NDArray[np.bool_]) -> None:
        """Have some rows begin at moments of the library, with noise of their own."""
        state = self._ahead.get_state()
        chosen = self._random.integers(len(library), size=rows.sum())
        for name, array in library.state.items():
            state[name][rows] = array[chosen]
        state["key"][rows] = self._random.integers(1 << 62, size=rows.sum())
        self._ahead.set_state(state)
        self._next_frames[rows] = library.frames[chosen]
        self._next_actions[rows] = library.actions[chosen]
        self._ready[:] = True

    def _draw(self) -> tuple[EpisodeRef, int]:
        """An episode and the number of a frame of it, from which something goes on."""
        ref = self._refs[int(self._random.choice(len(self._refs), p=self._shares))]
        start = int(self._random.integers(ref.total_steps - self._context + 1))
        return ref, start + self._context - 1

    def _read(self, ref: EpisodeRef, at: int) -> tuple[NDArray[np.uint8], NDArray]:
        """The frames (C, H, W, 3) up to a moment, and the actions between them."""
        clip = self._data.read(ref, at + 1 - self._context, at + 1)
        return clip.observations, clip.actions


def open_envs(args: Args) -> Plain:
    """The environments that `args` ask for.

    Raises:
        InputError: as `Branches`, or a branch without data.
    """
    kwargs = parse_kwargs(args.env_kwargs)
    if not args.branch:
        return Plain(args.env, args.num_envs, kwargs, mode=args.mode, device=args.device)
    if args.branch_data is None:
        raise InputError(
            f"branch is {args.branch}, but no moments to begin at are given; name a data set with "
            "--branch-data."
        )
    return Branches(
        args.env, args.num_envs, kwargs, data=args.branch_data, context=args.branch_context,
        horizon=args.branch, hindsight=args.branch_hindsight, device=args.device,
    )  # fmt: skip
