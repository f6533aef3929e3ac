"""What a policy says of the next action, for every action space of the project."""

from math import log, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.models.actions import ActionConfig


def outputs(actions: ActionConfig) -> int:
    """Numbers a policy must give for one action: a logit per choice, or mean and log deviation."""
    return 2 * len(actions.low) if actions.kind == "box" else sum(actions.choices)


def parts(actions: ActionConfig) -> int:
    """Numbers of one action: k choices, or k coordinates."""
    return len(actions.low) if actions.kind == "box" else len(actions.choices)


class Distribution:
    """Independent choices, or independent normal coordinates.

    A drawn action is (B, k): indices of choices (int64), or coordinates in which the box is
    [-1, 1] (float32), beyond which the environment gets the nearest bound.

    Args:
        actions: the space.
        given: (B, outputs(actions)), of a network.
    """

    def __init__(self, actions: ActionConfig, given: Tensor) -> None:
        self.actions = actions
        self.box = actions.kind == "box"
        if self.box:
            self.mean, deviation = given.chunk(2, -1)
            self.log_deviation = deviation.clamp(-5, 2)
        else:
            self.logs = [x.log_softmax(-1) for x in given.split(list(actions.choices), -1)]

    def sample(self, uniform: Tensor) -> Tensor:
        """Draw by inversion, so that a row's action depends on its own random numbers alone.

        Args:
            uniform: (B, k) in [0, 1).
        """
        if self.box:
            normal = torch.special.ndtri(uniform.clamp(1e-6, 1 - 1e-6))
            return self.mean + self.log_deviation.exp() * normal
        drawn = [(x.exp().cumsum(-1) < uniform[:, i : i + 1]).sum(-1) for i, x in self._choices()]
        counts = torch.tensor(self.actions.choices, device=uniform.device)
        return torch.minimum(torch.stack(drawn, -1), counts - 1)

    def mode(self) -> Tensor:
        """The likeliest action."""
        return self.mean if self.box else torch.stack([x.argmax(-1) for x in self.logs], -1)

    def log_prob(self, action: Tensor) -> Tensor:
        """(B,) of actions that `sample` or `mode` gave."""
        if self.box:
            error = (action - self.mean) * (-self.log_deviation).exp()
            return (-error.square() / 2 - self.log_deviation - log(2 * pi) / 2).sum(-1)
        chosen = [x.gather(-1, action[:, i : i + 1]) for i, x in self._choices()]
        return torch.cat(chosen, -1).sum(-1)

    def entropy(self) -> Tensor:
        """(B,) nats."""
        if self.box:
            return (self.log_deviation + (1 + log(2 * pi)) / 2).sum(-1)
        return torch.stack([-(x.exp() * x).sum(-1) for x in self.logs]).sum(0)

    def _choices(self) -> list[tuple[int, Tensor]]:
        return list(enumerate(self.logs))


def encode(actions: ActionConfig, action: Tensor) -> Tensor:
    """A drawn action as an input of a network: (B, k) -> (B, n) float, choices as 0 and 1."""
    if actions.kind == "box":
        return action.clamp(-1, 1)
    rows = [
        torch.nn.functional.one_hot(action[:, i], count) for i, count in enumerate(actions.choices)
    ]
    return torch.cat(rows, -1).float()


def encoded(actions: ActionConfig) -> int:
    """Numbers that `encode` gives for one action."""
    return len(actions.low) if actions.kind == "box" else sum(actions.choices)


def to_env(actions: ActionConfig, action: Tensor) -> NDArray:
    """Drawn actions (B, k) as an environment takes them: (B,) int64, (B, k) int64 or float32."""
    array = action.cpu().numpy()
    if actions.kind == "box":
        low, high = np.array(actions.low), np.array(actions.high)
        return np.clip(low + (array + 1) / 2 * (high - low), low, high).astype(np.float32)
    return array[:, 0] if actions.kind == "discrete" else array


def from_env(actions: ActionConfig, action: NDArray) -> Tensor:
    """The other way round: what an environment took, as `sample` would have drawn it."""
    if actions.kind == "box":
        low, high = np.array(actions.low), np.array(actions.high)
        return torch.from_numpy((2 * (action - low) / (high - low) - 1).astype(np.float32))
    return torch.from_numpy(np.asarray(action, np.int64).reshape(len(action), -1))
