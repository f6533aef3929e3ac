"""Whether a data set's frames and actions are those that a model takes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.places import Motion
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.vqgan import VqganConfig

MEASURED = 64
"""Episodes by which motion is measured."""


def check_frames(config: VqganConfig, dataset: TrajectoryDataset) -> None:
    """Refuse frames of another size.

    Raises:
        InputError: the tokenizer is made for another resolution.
    """
    height, width = dataset.observation_space.shape[:2]
    side = config.resolution
    if (height, width) != (side, side):
        raise InputError(
            f"{dataset.root} holds frames of {height} x {width} pixels, the preset's tokenizer "
            f"takes {side} x {side}; choose another preset or record again."
        )


def with_actions(config: TecoConfig, dataset: TrajectoryDataset) -> TecoConfig:
    """`config` for the data set's actions.

    A model that recalls by place needs to know what they do to the pose: measured here, and where
    it cannot be, the model is one without `recall`.

    Raises:
        InputError: the preset is made for another action space.
    """
    actions = ActionConfig.of(dataset.action_space)
    if config.actions not in (None, actions):
        raise InputError(
            f"{dataset.root} has the action space {dataset.action_space}, the preset takes "
            f"{config.actions}; choose another preset."
        )
    config = replace(config, actions=actions)
    if not config.recall or config.motion:
        return config
    motion = measured_motion(dataset, actions)
    return replace(config, motion=motion) if motion else replace(config, recall=0)


def measured_motion(dataset: TrajectoryDataset, actions: ActionConfig) -> tuple[Motion, ...]:
    """What each action does to the pose where nothing is in the way, by recorded poses.

    Turns are medians; so are steps, in hundredths of the longest, but only of an action's longest
    tenth. An action that is never taken is none.

    Returns:
        A motion per choice; none where poses were not recorded or actions are not Discrete.
    """
    recorded = recorded_moves(dataset, dataset.episodes("train")[:MEASURED])
    if not recorded or actions.kind != "discrete":
        return ()
    taken = np.concatenate([action for action, _ in recorded])
    moves = np.concatenate([moves for _, moves in recorded])
    found = np.zeros((actions.choices[0], 3))
    for action in np.unique(taken):
        found[action] = np.median(moves[taken == action, 0]), *_free_way(moves[taken == action])
    if unit := longest(taken, moves):
        found[:, 1:] = (found[:, 1:] / unit).round(2)
    return tuple((float(turn), float(ahead), float(left)) for turn, ahead, left in found)


def recorded_moves(
    dataset: TrajectoryDataset, refs: Sequence[EpisodeRef]
) -> list[tuple[NDArray[Any], NDArray[np.float64]]]:
    """Actions (T,) and moves (T, 3) of the episodes whose poses were recorded.

    A move is circles turned, then way ahead and to the left as seen after the turn, in the
    simulator's units.
    """
    episodes = map(dataset.read, refs)
    return [(e.actions, _moves(e.pose.astype(np.float64))) for e in episodes if e.pose is not None]


def longest(taken: NDArray[Any], moves: NDArray[np.float64]) -> float:
    """Length of the longest action's way where nothing stops it; 0 if none leads anywhere."""
    ways = [_free_way(moves[taken == action]) for action in np.unique(taken)]
    return float(max(np.hypot(*way) for way in ways))


def _free_way(moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) of one action -> (2,) its way, by the longest tenth: walls stop or shorten others."""
    length = np.hypot(*moves[:, 1:].T)
    free: NDArray[np.float64] = np.median(moves[length >= np.quantile(length, 0.9), 1:], 0)
    return free


def _moves(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T+1, 3) x, y, degrees -> (T, 3) circles turned, way ahead and to the left after that."""
    turn = np.remainder(np.diff(pose[:, 2]) / 360 + 0.5, 1) - 0.5
    dx, dy = np.diff(pose[:, :2], axis=0).T
    cos, sin = np.cos(np.radians(pose[1:, 2])), np.sin(np.radians(pose[1:, 2]))
    return np.stack([turn, dx * cos + dy * sin, dy * cos - dx * sin], 1)
