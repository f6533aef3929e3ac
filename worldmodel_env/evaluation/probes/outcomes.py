"""Recorded rewards and terminations beside those that a world foretells."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.rollout import filled, noise_keys
from worldmodel_env.imagination.backend import Backend


@dataclass(frozen=True)
class Foretold:
    """Rewards and probabilities of ending, (N, T); whatever stands outside `valid` means nothing.

    Attributes:
        reward: expected.
        termination: probability.
    """

    reward: NDArray[np.float64]
    termination: NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """N episodes of up to T transitions after the context.

    Attributes:
        valid: (N, T) bool, transitions that were recorded.
        reward: (N, T) as recorded.
        termination: (N, T) bool, as recorded.
        watching: told one step ahead, every frame before being true.
        dreaming: told with nothing true but the context and the actions.
    """

    valid: NDArray[np.bool_]
    reward: NDArray[np.float64]
    termination: NDArray[np.bool_]
    watching: Foretold
    dreaming: Foretold


def foretell(
    backend: Backend,
    batch: int,
    data: Path,
    split: str,
    context: int,
    episodes: int,
    *,
    seed: int = 0,
) -> Outcomes:
    """Run episodes through a world twice: looking on, and dreaming from the context on.

    Args:
        backend: the world's step.
        batch: rows of every call to it.
        data: a data set in which episodes end.
        split: which part.
        context: true frames before the first transition that is measured.
        episodes: at most this many, the first by seed, of those tasks in which anything is paid.
        seed: of the imagination.

    Raises:
        InputError: no episode goes on after the context.
    """
    dataset = TrajectoryDataset.open(data)
    known = dataset.episodes(split)
    # Where exploring and reaching goals are recorded together, only the latter can be rewarded.
    paid = {ref.row.task for ref in known if ref.row.sum_rewards} or {ref.row.task for ref in known}
    long = [ref for ref in known if ref.row.task in paid and ref.total_steps >= context]
    refs = long[:episodes]
    if not refs:
        raise InputError(
            f"{data} has no {split} episode of more than {context} frames; lower the context."
        )
    longest = max(ref.total_steps for ref in refs)
    shape = (len(refs), longest - context + 1)
    valid = np.zeros(shape, np.bool_)
    reward, termination = np.zeros(shape), np.zeros(shape, np.bool_)
    told = [Foretold(np.zeros(shape), np.zeros(shape)) for _ in range(2)]
    for start in tqdm(range(0, len(refs), batch), desc="foretell", unit="batch", disable=None):
        rows = filled(start, len(refs), batch)
        read = [_read(dataset, refs[i]) for i in rows]
        fresh = rows[: len(refs) - start]
        for i, episode in zip(fresh, read, strict=False):
            steps = len(episode) - context + 1
            valid[i, :steps] = True
            reward[i, :steps] = episode.rewards[context - 1 :]
            termination[i, :steps] = episode.terminations[context - 1 :]
        for kept, found in zip(
            told,
            _run(backend, read, context, noise_keys(np.array([refs[i].seed for i in rows]), seed)),
            strict=True,
        ):
            width = found.reward.shape[1]
            kept.reward[fresh, :width] = found.reward[: len(fresh)]
            kept.termination[fresh, :width] = found.termination[: len(fresh)]
    return Outcomes(valid, reward, termination, *told)


def _read(dataset: TrajectoryDataset, ref: EpisodeRef) -> Episode:
    return dataset.read(ref)


def _run(
    backend: Backend, episodes: list[Episode], context: int, seeds: NDArray[np.int64]
) -> tuple[Foretold, Foretold]:
    steps = max(len(episode) for episode in episodes)
    keys = torch.from_numpy(seeds).to(backend.device)
    state = backend.begin(backend.encode(_at(episodes, 0)))
    dream = state
    found: tuple[list, list] = ([], [])
    for t in range(steps):
        action = np.stack([e.actions[min(t, len(e) - 1)] for e in episodes])
        if t == context - 1:
            dream = state
        if t >= context - 1:
            _, ahead = backend.step(state, action, keys)
            dream, dreamt = backend.step(dream, action, keys)
            for kept, now in zip(found, (ahead, dreamt), strict=True):
                kept.append((now.reward.cpu().numpy(), now.termination.cpu().numpy()))
        if t + 1 < steps:
            state = backend.observe(state, _at(episodes, t + 1), action)
    watching, dreaming = (
        Foretold(*(np.stack(column, 1).astype(np.float64) for column in zip(*kept, strict=True)))
        for kept in found
    )
    return watching, dreaming


def _at(episodes: list[Episode], t: int) -> NDArray[np.uint8]:
    """Frame t of each episode, the last one where it is over."""
    return np.stack([e.observations[min(t, len(e))] for e in episodes])
