"""Scripted policies that record trajectories, chosen by name.

A policy is reset at the start of each episode, after the environment's own reset, and then gives
one action after another. Its actions depend on the episode and on its seed alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from worldmodel_env.errors import InputError

_CLASSES = {
    "explore": "explore:Explore",
    "goal": "goal:Goal",
    "random": "random:Random",
    "sloppy": "sloppy:Sloppy",
    "snag": "snag:Snag",
    "out-and-back": "out_and_back:OutAndBack",
    "look-around": "look_around:LookAround",
    "tour": "tour:Tour",
    "teco-maze": "teco_maze:TecoMaze",
    "teco-minecraft": "teco_minecraft:TecoMinecraft",
    "teco-habitat": "teco_habitat:TecoHabitat",
    "human": "human:Human",
}
NAMES = tuple(_CLASSES)
_SB3, _AGENT = "sb3:", "agent:"


class Policy(Protocol):
    """What a recorder drives."""

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode: call it after `env.reset`."""

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> Any:
        """The next action, given what `reset` or `step` last returned."""


def make(name: str) -> Policy:
    """A policy by its name, or a trained one by where it was saved.

    Args:
        name: one of `NAMES`, "agent:FOLDER" for what `worldmodel agent train` left in a folder, or
            "sb3:FILE.zip" for what Stable-Baselines3 saved.

    Raises:
        InputError: no policy has that name, or the file cannot be used.
    """
    if name.startswith(_AGENT):
        from agents.policy import AgentPolicy

        return AgentPolicy(name.removeprefix(_AGENT))
    if name.startswith(_SB3):
        from simulators.explorers.trained import Trained

        return Trained(name.removeprefix(_SB3))
    if name not in _CLASSES:
        raise InputError(
            f"There is no policy {name!r}; choose one of {', '.join(NAMES)}, agent:FOLDER or "
            "sb3:FILE.zip."
        )
    module, class_name = _CLASSES[name].split(":")
    policy: Policy = getattr(import_module(f"simulators.explorers.{module}"), class_name)()
    return policy
