"""How far an agent's imagined world can be trusted where that agent goes.

An agent finds what a world gets wrong in its favour. So the world's predictions are compared with
the simulator along the agent's own episodes, and its imagined return with the true one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from agents.envs import Envs
from agents.evaluate import Scores, evaluate
from agents.intervals import Estimate, mean, ratio_of
from agents.network import Agent
from agents.policy import Actors
from worldmodel_env.envs.actions import action_batch
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import open_backend
from worldmodel_env.imagination.world import World

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """What a world said before each of S real transitions, beside what came.

    Attributes:
        reward: (S,) float32, expected.
        termination: (S,) float32, probability.
        surprise: (S,) float32, nats, of the frame that it imagined.
        true_reward: (S,) float32.
        true_termination: (S,) bool.
    """

    reward: NDArray[np.float32]
    termination: NDArray[np.float32]
    surprise: NDArray[np.float32]
    true_reward: NDArray[np.float32]
    true_termination: NDArray[np.bool_]

    def summary(self) -> dict[str, float]:
        """Brier scores beside those of always saying the mean, calibration errors, sums."""
        ends = self.true_termination.astype(np.float64)
        rate = ends.mean()
        caught = self.termination[self.true_termination]
        return {
            "transitions": float(len(ends)),
            "true endings": float(ends.sum()),
            "predicted endings": float(self.termination.sum()),
            "true reward": float(self.true_reward.sum()),
            "predicted reward": float(self.reward.sum()),
            "termination: Brier score": float(np.square(self.termination - ends).mean()),
            "termination: Brier score of the mean": float(rate * (1 - rate)),
            "termination: calibration error": calibration_error(self.termination, ends),
            "termination: mean probability at true endings": float(caught.mean())
            if len(caught) else 0.0,
            "reward: mean squared error": float(np.square(self.reward - self.true_reward).mean()),
            "reward: variance": float(self.true_reward.var()),
            "reward: calibration error": calibration_error(self.reward, self.true_reward),
            "surprise": float(self.surprise.mean()),
        }  # fmt: skip


def calibration_error(said: NDArray, came: NDArray) -> float:
    """Mean distance of what was said from what came, over ten bins of what was said.

    Most transitions neither pay nor end, so the bins part the range, not the transitions, and each
    counts by how many it holds.
    """
    low, high = float(said.min()), float(said.max())
    bins = np.clip(((said - low) / max(high - low, 1e-12) * BINS).astype(int), 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    gap = np.bincount(bins, said, BINS) - np.bincount(bins, came.astype(np.float64), BINS)
    return float(np.abs(gap).sum() / count.sum())


def calibrate(
    agent: Agent,
    world: World,
    simulator: str,
    seeds: Sequence[int],
    *,
    kwargs: Mapping[str, Any],
    num_envs: int = 16,
    threads: int = 1,
    device: str = "auto",
) -> Calibration:
    """Let the agent act in the simulator, and ask the world before each step what will come.

    The world is shown every true frame, so this judges its heads, not its drift.

    Raises:
        InputError: the world's spaces are not the simulator's.
    """
    rows = min(num_envs, len(seeds))
    backend = open_backend(world, "torch", batch=rows, device=device, threads=threads)
    envs = Envs(simulator, rows, kwargs, device=device, autoreset=AutoresetMode.DISABLED)
    spaces = envs.single_observation_space, envs.single_action_space
    if spaces != (world.observation_space, world.action_space):
        raise InputError(
            f"world {world.name!r} has {world.observation_space} and {world.action_space}, "
            f"{simulator} has {spaces[0]} and {spaces[1]}; take the simulator that it imitates."
        )
    actors, said, came = Actors(agent, rows), [], []
    for first in range(0, len(seeds), rows):
        # Short of rows at the end, the first seeds play again and are not counted.
        wave = [*seeds[first : first + rows], *seeds[: max(0, first + rows - len(seeds))]]
        counted = np.arange(rows) < len(seeds) - first
        obs = envs.reset([int(seed) for seed in wave])
        for row, seed in enumerate(wave):
            actors.begin(row, envs.row(row), int(seed))
        state = backend.begin(backend.encode(obs.cpu().numpy()))
        key = torch.tensor([int(seed) for seed in wave], device=backend.device)
        going = counted.copy()
        while going.any():
            action = actors.act(obs)
            given = action_batch(world.action_space, list(action))
            _, imagined = backend.step(state, given, key)
            got = envs.step(action)
            obs = got.final_obs
            values = imagined.reward, imagined.termination, imagined.surprise
            said.append(np.stack([x.float().cpu().numpy() for x in values], -1)[going])
            true = got.reward, got.terminated.float()
            came.append(np.stack([x.cpu().numpy() for x in true], -1)[going])
            state = backend.observe(state, obs.cpu().numpy(), given)
            ended = (got.terminated | got.truncated).cpu().numpy()
            going &= ~ended
            if ended.any() and going.any():  # what has ended must be reset to be stepped on
                both = zip(wave, ended, strict=True)
                fresh = envs.reset([int(s) if e else None for s, e in both], ended)
                mask = torch.as_tensor(ended, device=obs.device).view(-1, 1, 1, 1)
                obs = torch.where(mask, fresh, obs)
    envs.close()
    told, true_ = np.concatenate(said), np.concatenate(came)
    return Calibration(told[:, 0], told[:, 1], told[:, 2], true_[:, 0], true_[:, 1] > 0.5)


def return_gap(
    agent: Agent,
    imagined: str,
    simulator: str,
    *,
    episodes: int,
    seeds: Sequence[int],
    imagined_kwargs: Mapping[str, Any],
    kwargs: Mapping[str, Any],
    device: str = "auto",
) -> tuple[Estimate, Scores, Scores]:
    """Imagined minus true mean return of the same policy; above zero the world flatters it."""
    dreamt = evaluate(
        imagined, Actors.of(agent), range(episodes), kwargs=imagined_kwargs,
        num_envs=min(64, episodes), device=device,
    )  # fmt: skip
    real = evaluate(simulator, Actors.of(agent), seeds, kwargs=kwargs, device=device)
    gap = ratio_of([[dreamt.returns], [real.returns]], lambda g: mean(g[0]) - mean(g[1]))
    return gap, dreamt, real
