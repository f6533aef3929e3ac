"""Whether a data set's frames and actions are those that a model takes."""

from dataclasses import replace

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.vqgan import VqganConfig


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

    Raises:
        InputError: the preset is made for another action space.
    """
    actions = ActionConfig.of(dataset.action_space)
    if config.actions not in (None, actions):
        raise InputError(
            f"{dataset.root} has the action space {dataset.action_space}, the preset takes "
            f"{config.actions}; choose another preset."
        )
    return replace(config, actions=actions)
