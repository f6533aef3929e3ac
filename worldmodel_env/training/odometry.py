"""Teach an odometer, by recorded poses, what walls take from steps."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.models.odometer import MOVED
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.spaces import longest, recorded_moves

EPISODES, PAIRS = 512, 40_000
"""Taken at most: episodes spread over the data set, and pairs of frames of them."""
STEPS, BATCH, RATE = 600, 256, 2e-3


def fit_odometer(model: Teco, dataset: TrajectoryDataset, codes: CodeStore, seed: int) -> None:
    """Fit `model.recall.odometer` to steps between frames that differ; no other weight changes.

    Args:
        model: on any device; one without `recall` stays as it is.
        dataset: episodes with poses are read; without any the odometer stays at no deviation.
        codes: of its training episodes, in their order.
        seed: of the draws.
    """
    if model.recall is None:
        return
    pairs = _pairs(model.recall.motion.cpu().numpy(), dataset, codes, seed)
    if pairs is None:
        return
    before, after, deviation = pairs
    odometer, place = model.recall.odometer, model.start.device
    odometer.requires_grad_(True)
    optimizer = torch.optim.Adam(odometer.parameters(), RATE)
    generator = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        rows = torch.randint(len(before), (BATCH,), generator=generator)
        x, y = (model.vectors(part[rows].to(place)) for part in (before, after))
        loss = F.smooth_l1_loss(odometer(x, y).float(), deviation[rows].to(place), beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    odometer.requires_grad_(False)


def _pairs(
    motion: NDArray[np.float32], dataset: TrajectoryDataset, codes: CodeStore, seed: int
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Codes (N, 2g, 2g) before and after steps, and what was taken from each (N, 2)."""
    episodes = dataset.episodes("train")
    chosen = np.unique(np.linspace(0, len(episodes) - 1, EPISODES).astype(int))
    recorded = [(i, *found) for i in chosen for found in recorded_moves(dataset, [episodes[i]])]
    if not recorded:
        return None
    taken = np.concatenate([actions for _, actions, _ in recorded])
    moves = np.concatenate([moves for *_, moves in recorded])
    first = [codes.starts[i] + np.arange(len(actions)) for i, actions, _ in recorded]
    frame = np.concatenate(first)
    stepped = np.flatnonzero(motion[taken, 1:].any(1))
    random = np.random.default_rng(seed)
    rows = random.permutation(stepped)[:PAIRS]
    at = frame[rows]
    before, after = (torch.from_numpy(codes.codes[f].astype(np.int64)) for f in (at, at + 1))
    deviation = moves[rows, 1:] / longest(taken, moves) - motion[taken[rows], 1:]
    changed = (before != after).flatten(1).float().mean(1) >= MOVED
    if not changed.any():
        return None
    wanted = torch.from_numpy(deviation).float()
    return before[changed], after[changed], wanted[changed]
