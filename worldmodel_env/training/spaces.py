"""Whether a data set's frames and actions are those that a model takes."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import TrajectoryDataset
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
    tenth, since walls stop or shorten others. An action that is never taken is none.

    Returns:
        A motion per choice; none where poses were not recorded or actions are not Discrete.
    """
    episodes = [dataset.read(ref) for ref in dataset.episodes("train")[:MEASURED]]
    recorded = [(e.pose, e.actions) for e in episodes if e.pose is not None]
    if not recorded or actions.kind != "discrete":
        return ()
    taken = np.concatenate([action for _, action in recorded])
    moves = np.concatenate([_moves(pose.astype(np.float64)) for pose, _ in recorded])
    found = np.zeros((actions.choices[0], 3))
    for action in np.unique(taken):
        turn, way = np.split(moves[taken == action], [1], 1)
        length = np.hypot(*way.T)
        free = way[length >= np.quantile(length, 0.9)]
        found[action] = np.median(turn), *np.median(free, 0)
    longest = np.hypot(*found[:, 1:].T).max()
    if longest:
        found[:, 1:] = (found[:, 1:] / longest).round(2)
    return tuple((float(turn), float(ahead), float(left)) for turn, ahead, left in found)


def _moves(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T+1, 3) x, y, degrees -> (T, 3) circles turned, way ahead and to the left after that."""
    turn = np.remainder(np.diff(pose[:, 2]) / 360 + 0.5, 1) - 0.5
    dx, dy = np.diff(pose[:, :2], axis=0).T
    cos, sin = np.cos(np.radians(pose[1:, 2])), np.sin(np.radians(pose[1:, 2]))
    return np.stack([turn, dx * cos + dy * sin, dy * cos - dx * sin], 1)
