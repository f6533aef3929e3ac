"""Does a world remember the goal? What it says of an ending h steps before it comes.

Teacher-forced heads may be right to a frame and an agent still learn nothing, because what it walks
towards dissolves in imagination before it is reached. So each recorded episode that ended is shown
up to h steps before its end, and the rest imagined with the recorded actions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.envs.actions import action_batch
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import open_backend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling

HORIZONS = (1, 2, 3, 4, 6, 8, 12)


@dataclass(frozen=True)
class Foresight:
    """Means over episodes, h steps before their end.

    Attributes:
        horizons: h.
        ended: probability that the world ends the episode within these h steps.
        returned: what it pays in them.
        true_return: what the simulator paid.
        too_soon: probability that it ends the episode before the last step.
    """

    horizons: tuple[int, ...]
    ended: tuple[float, ...]
    returned: tuple[float, ...]
    true_return: tuple[float, ...]
    too_soon: tuple[float, ...]


@torch.no_grad()
def foresight(
    world: World,
    data: TrajectoryDataset,
    *,
    split: str = "validation",
    horizons: Sequence[int] = HORIZONS,
    context: int = 12,
    episodes: int = 64,
    sampling: Sampling | None = None,
    device: str = "auto",
    threads: int = 1,
) -> Foresight:
    """Measure it on recorded episodes that terminated.

    Args:
        world: to judge.
        data: a data set of the simulator that it imitates.
        split: which episodes.
        horizons: h, each 1 or more.
        context: true frames shown before the earliest h.
        episodes: at most so many, the first ones.
        sampling: instead of the world's own.
        device: of the world.
        threads: CPU threads.

    Raises:
        InputError: no episode of the split terminated after context + h steps.
    """
    length = context + max(horizons)
    ended: list[Episode] = []
    for ref in data.episodes(split):
        if ref.total_steps >= length and len(ended) < episodes:
            last = data.read(ref, ref.total_steps + 1 - length, ref.total_steps + 1)
            if last.terminations[-1]:
                ended.append(last)
    if not ended:
        raise InputError(
            f"{data.root} has no {split} episode that terminated after {length} steps; record some "
            "with a task that ends, such as --task goal --policy goal."
        )
    frames = np.stack([episode.observations for episode in ended])
    actions = np.stack([episode.actions for episode in ended])
    rewards = np.stack([episode.rewards for episode in ended])
    backend = open_backend(
        world, "torch", batch=len(ended), device=device, threads=threads, sampling=sampling
    )
    key = torch.arange(len(ended), device=backend.device)

    def given(t: int) -> NDArray:
        return action_batch(world.action_space, list(actions[:, t]))

    found: dict[int, tuple[float, float, float, float]] = {}
    state, steps = backend.begin(backend.encode(frames[:, 0])), actions.shape[1]
    for t in range(steps):
        if (h := steps - t) in horizons:
            ahead, going = state, torch.ones(len(ended), device=backend.device)
            paid, before = torch.zeros_like(going), going
            for u in range(t, steps):
                ahead, imagined = backend.step(ahead, given(u), key)
                paid += going * imagined.reward.float()
                before = going
                going = going * (1 - imagined.termination.float())
            truth = float(rewards[:, t:].sum(1).mean())
            numbers = (1 - going).mean(), paid.mean(), (1 - before).mean()
            end, pay, soon = (float(x) for x in numbers)
            found[h] = end, pay, truth, soon
        state = backend.observe(state, frames[:, t + 1], given(t))
    order = tuple(sorted(found))
    columns = [tuple(column) for column in zip(*(found[h] for h in order), strict=True)]
    return Foresight(order, *columns)
