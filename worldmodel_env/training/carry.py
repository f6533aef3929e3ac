"""Training on clips that go on where those of the step before ended (`TecoTraining.carry`).

Truncated back-propagation through time: each row of the batch goes through an episode clip by clip,
from step to step. What it remembers is carried, without gradient; the gradient stays in a clip.
"""

import torch
from torch import nn

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import State, beginning
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.recipes import TecoTraining


class Carried(nn.Module):
    """The state after each row's newest clip, as buffers: a part of the checkpoint.

    It depends on the weights of steps gone by, so it cannot be made again; saved, it makes a
    resumed training the undisturbed one.
    """

    def __init__(self, model: Teco, rows: int) -> None:
        """States that no row has ever had: in the first step all begin."""
        super().__init__()
        side = model.cfg.code_grid
        with torch.no_grad():
            nothing = torch.zeros(rows, side, side, dtype=torch.int64, device=model.start.device)
            for name, tensor in beginning(model, nothing).items():
                self.register_buffer(name, torch.zeros_like(tensor))

    def state(self) -> State:
        """Of all rows of the batch."""
        return dict(self.named_buffers())

    def replace(self, state: State) -> None:
        """Remember a new state of all rows."""
        for name, buffer in self.named_buffers():
            buffer.copy_(state[name])


def check_carry(training: TecoTraining, config: TecoConfig, compute: Compute) -> None:
    """Refuse recipes and models whose clips cannot go on where others ended.

    Args:
        training: the recipe.
        config: the model.
        compute: how it is computed.

    Raises:
        InputError: what does not fit, and what to change.
    """
    if training.carry == 1:
        return
    where = f"carry is {training.carry}"
    if compute.compile and compute.recompute:
        raise InputError(
            f"{where} with --compile and --recompute, but layers are given starts and clips, for "
            "which torch compiles them apart and recomputes the wrong ones; use one of the two."
        )
    if compute.distributed == "fsdp":
        raise InputError(
            f"{where} with --distributed fsdp, but the gradient reaches what a row begins with "
            "through its cache, past the hooks that gather a layer's shares; use ddp or carry 1."
        )
    if config.temporal.positions == "absolute":
        raise InputError(
            f"{where}, but the model's positions are absolute and end with its window; use "
            "positions='window' or carry 1."
        )
    if config.first_frame:
        raise InputError(
            f"{where}, but first frames, which the model shall learn (TecoConfig.first_frame), are "
            "not predicted in clips that continue others; use carry 1."
        )
    if training.loss.actions_ahead:
        raise InputError(
            f"{where} and actions_ahead {training.loss.actions_ahead}, which leaves out the frames "
            "in which clips meet; use carry 1 or actions_ahead 0."
        )


def check_episodes(training: TecoTraining, longest: int) -> None:
    """Refuse episodes in which no clip has a next one, so that nothing would be carried.

    Args:
        training: the recipe.
        longest: frames of the longest episode.

    Raises:
        InputError: it is shorter than two clips, which share a frame.
    """
    needed = 2 * training.clip - 1
    if training.carry > 1 and longest < needed:
        raise InputError(
            f"carry is {training.carry}, but no episode has the {needed} frames of two clips that "
            f"continue one another (the longest has {longest}); give a smaller --clip."
        )
