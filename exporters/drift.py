"""How far a backend strays from torch in float32, given the same noise and actions."""

from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.envs.actions import action_batch
from worldmodel_env.evaluation.metrics.psnr import psnr
from worldmodel_env.imagination.backend import Backend
from worldmodel_env.imagination.step import State
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.state import is_ring
from worldmodel_env.models.sampling import Sampling

HELD = 0.7
"""Share of steps at which an action is held, so that walks get somewhere."""


LIMITS = {
    "fp32": (0.999, 55.0, 0.95),
    "fp16": (0.99, 40.0, 0.5),
    "bf16": (0.97, 35.0, 0.3),
    "int8": (0.97, 35.0, 0.3),
}
"""Format -> the least that means may be: the share of equal codes and the PSNR in dB when
teacher-forced, the share of equal codes in the first frames when left alone."""

DRAWN = (0.6, 22.0, 0.0)
"""The same of frames whose z is drawn in less than fp32: rounding turns some draws, and what
follows is another frame, as likely."""

SOON = 10
"""Frames that are "first": later the smallest error has grown into another walk."""


@dataclass(frozen=True)
class Curves:
    """Agreement with the reference at each step.

    Attributes:
        codes: (T,) share of equal codes of the imagined frames.
        psnr: (T,) mean PSNR of the frames, dB; 100 where they are equal.
    """

    codes: NDArray[np.float64]
    psnr: NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """What one backend did.

    Attributes:
        forced: every step from the reference's own state: errors of one step.
        free: from the same start, then left to itself: errors that grow.
        cache: largest difference of keys and values, forced.
        reward: of expected rewards, forced.
        termination: of probabilities to end, forced.
    """

    forced: Curves
    free: Curves
    cache: float
    reward: float
    termination: float


@dataclass(frozen=True)
class Walks:
    """What all backends are given.

    Attributes:
        starts: (B, g, g) codes of first frames.
        actions: (T, B) or (T, B, k).
        keys: (B,) int64, of the noise.
    """

    starts: NDArray[np.uint16]
    actions: NDArray
    keys: torch.Tensor

    @classmethod
    def random(cls, world: World, *, steps: int, worlds: int, seed: int) -> "Walks":
        """Random walks from some of the world's starts."""
        rng = np.random.default_rng(seed)
        space = world.action_space
        space.seed(seed)
        actions = [_sample(space, worlds)]
        for _ in range(steps - 1):
            fresh, held = _sample(space, worlds), rng.random(worlds) < HELD
            actions.append(np.where(held.reshape(-1, *[1] * (fresh.ndim - 1)), actions[-1], fresh))
        starts = world.starts[rng.integers(len(world.starts), size=worlds)]
        return cls(starts, np.stack(actions), torch.from_numpy(rng.integers(1 << 62, size=worlds)))


def measure(reference: Backend, backend: Backend, walks: Walks) -> Drift:
    """Step both along the walks.

    Args:
        reference: torch in float32, on the same device.
        backend: what is judged.
        walks: for as many worlds as both are opened for.
    """
    true, free = reference.begin(walks.starts), backend.begin(walks.starts)
    like, keys = free, walks.keys.to(reference.device)
    codes: list[tuple[float, float]] = []
    frames: list[tuple[float, float]] = []
    worst = np.zeros(3)
    for action in walks.actions:
        following, shown = reference.step(true, action, keys)
        forced, seen = backend.step(_as(true, like), action, keys)
        free, dreamt = backend.step(free, action, keys)
        codes.append((_equal(following, forced), _equal(following, free)))
        frames.append(
            (psnr(shown.frame, seen.frame).mean(), psnr(shown.frame, dreamt.frame).mean())
        )
        errors = (
            max(_error(following[name], forced[name]) for name in filter(is_ring, forced)),
            _error(shown.reward, seen.reward),
            _error(shown.termination, seen.termination),
        )
        worst = np.maximum(worst, errors)
        true = following
    (forced_codes, free_codes), (forced_psnr, free_psnr) = np.array(codes).T, np.array(frames).T
    return Drift(
        Curves(forced_codes, forced_psnr), Curves(free_codes, free_psnr), *map(float, worst)
    )


def limits(number_format: str, sampling: Sampling) -> tuple[float, ...]:
    """`LIMITS` of a format, where z is drawn for some frames those of both kinds of frames."""
    drawn = 0.0 if number_format == "fp32" else sampling.drawn
    kinds = zip(LIMITS[number_format], DRAWN, strict=True)
    return tuple(round((1 - drawn) * plain + drawn * other, 3) for plain, other in kinds)


def within_limits(drift: Drift, least: tuple[float, ...]) -> bool:
    """Whether the errors are as small as `limits` asks."""
    means = drift.forced.codes.mean(), drift.forced.psnr.mean(), drift.free.codes[:SOON].mean()
    return all(bool(mean >= limit) for mean, limit in zip(means, least, strict=True))


def _sample(space: spaces.Space, count: int) -> NDArray:
    return action_batch(space, [space.sample() for _ in range(count)])


def _as(state: State, like: State) -> State:
    """The reference's state in the number formats of another backend."""
    return {name: tensor.to(like[name].dtype) for name, tensor in state.items()}


def _error(true: Tensor, found: Tensor) -> float:
    return float((true - found.float()).abs().max())


def _equal(a: State, b: State) -> float:
    return float((a["codes"] == b["codes"]).float().mean())
