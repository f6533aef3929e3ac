"""Which weights learn how fast: `TecoTraining.rest_rate`."""

from typing import Any

from torch import nn


def is_mixer(name: str) -> bool:
    """Whether a parameter of `Teco` mixes frames: attention and memories over time."""
    path = name.split(".")
    return path[:2] == ["temporal", "layers"] and path[3] in ("attention", "memory")


def hold_rest(model: nn.Module) -> None:
    """Leave all weights of a `Teco` as they are but those of `is_mixer`."""
    for name, parameter in model.named_parameters():
        if not is_mixer(name):
            parameter.requires_grad_(False)


def parameter_groups(model: nn.Module, rest_rate: float) -> list[dict[str, Any]]:
    """What an optimizer is given: parameters, and their `share` of the learning rate."""
    if rest_rate == 1:
        return [{"params": list(model.parameters()), "share": 1.0}]
    mixers = [p for name, p in model.named_parameters() if is_mixer(name)]
    rest = [p for name, p in model.named_parameters() if not is_mixer(name)]
    groups = [{"params": mixers, "share": 1.0}, {"params": rest, "share": rest_rate}]
    return groups if rest_rate else groups[:1]
