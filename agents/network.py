"""Policy and value of what an agent sees, and what it remembers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from gymnasium import spaces
from torch import Tensor, nn

from agents.distribution import Distribution, encode, encoded, outputs
from worldmodel_env.config import from_json, to_json
from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class AgentConfig:
    """What an agent sees and does, and how large it is.

    Attributes:
        frame: H, W, C of the frames.
        actions: the action space.
        memory: "gru" remembers the episode; "none" knows the present frame only.
        width: channels of the first convolution.
        hidden: units of the hidden layer and of the memory.
    """

    frame: tuple[int, ...]
    actions: ActionConfig
    memory: Literal["gru", "none"] = "gru"
    width: int = 16
    hidden: int = 256

    @classmethod
    def of(cls, observed: spaces.Space, action: spaces.Space, **sizes: Any) -> "AgentConfig":
        """For an environment's spaces.

        Raises:
            InputError: frames are not uint8 images of at least 32 x 32, or the action space is not
                one of those that a world knows.
        """
        if not isinstance(observed, spaces.Box) or len(observed.shape) != 3:
            raise InputError(
                f"the agent sees images (H, W, C), this environment shows {observed}; wrap it so "
                "that it gives images."
            )
        if min(observed.shape[:2]) < 32:
            raise InputError(
                f"the agent sees images of at least 32 x 32, this environment shows "
                f"{observed.shape}; enlarge them."
            )
        return cls(tuple(map(int, observed.shape)), ActionConfig.of(action), **sizes)

    def check(self, other: "AgentConfig", where: str) -> None:
        """Refuse an environment (`other` is made for its spaces) that the agent cannot act in."""
        for name, own, theirs in (
            ("frames", self.frame, other.frame),
            ("actions", self.actions, other.actions),
        ):
            if own != theirs:
                raise InputError(
                    f"the agent was made for {name} {own}, {where} has {theirs}; use it where the "
                    "spaces are the same, or train another one."
                )


class Agent(nn.Module):
    """Convolutions, then a memory if it has one, then policy and value."""

    def __init__(self, config: AgentConfig) -> None:
        super().__init__()
        self.config = config
        height, width, channels = config.frame
        w, hidden = config.width, config.hidden
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, w, 8, 4, 2), nn.ReLU(),
            nn.Conv2d(w, 2 * w, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(2 * w, 2 * w, 3, 1, 1), nn.ReLU(),
            nn.Flatten(),
        )  # fmt: skip
        with torch.no_grad():
            features = self.trunk(torch.zeros(1, channels, height, width)).shape[1]
        self.hidden = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        self.recurrent = config.memory == "gru"
        if self.recurrent:
            self.cell = nn.GRUCell(hidden + encoded(config.actions), hidden)
        self.actor = nn.Linear(hidden, outputs(config.actions))
        self.critic = nn.Linear(hidden, 1)
        nn.init.orthogonal_(self.actor.weight, 0.01)  # begin with all actions alike
        nn.init.zeros_(self.actor.bias)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.critic.weight.device

    def blank(self, rows: int) -> Tensor:
        """The memory of nothing, (rows, M): hidden units, then the last action."""
        size = self.config.hidden + encoded(self.config.actions) if self.recurrent else 0
        return torch.zeros(rows, size, device=self.device)

    def features(self, frames: Tensor) -> Tensor:
        """(B, H, W, C) uint8 -> (B, hidden)."""
        return self.hidden(self.trunk(frames.permute(0, 3, 1, 2) / 255 - 0.5))

    def recall(self, features: Tensor, memory: Tensor) -> Tensor:
        """What is known now, (B, hidden), of what is seen and of the memory."""
        if not self.recurrent:
            return features
        hidden = self.config.hidden
        return self.cell(torch.cat([features, memory[:, hidden:]], -1), memory[:, :hidden])

    def remember(self, known: Tensor, action: Tensor) -> Tensor:
        """The memory (B, M) that goes on, once an action (B, k) is drawn."""
        if not self.recurrent:
            return known[:, :0]
        return torch.cat([known, encode(self.config.actions, action)], -1)

    def judge(self, known: Tensor) -> tuple[Distribution, Tensor]:
        """Policy and value (B,) of what is known."""
        return Distribution(self.config.actions, self.actor(known)), self.critic(known).squeeze(-1)

    def forward(self, frames: Tensor, memory: Tensor) -> tuple[Distribution, Tensor, Tensor]:
        """One step of B episodes: policy, values (B,), and what is known (B, hidden)."""
        known = self.recall(self.features(frames), memory)
        return *self.judge(known), known

    def unroll(
        self, frames: Tensor, memories: Tensor, actions: Tensor, began: Tensor
    ) -> tuple[Distribution, Tensor]:
        """All steps of a roll-out again, with gradients through its memory.

        Args:
            frames: (T, B, H, W, C) uint8.
            memories: (T, B, M) as they were; used for the first step and where an episode began.
            actions: (T, B, k) drawn.
            began: (T, B) bool, True at the first step of an episode.

        Returns:
            Policy and values (T * B,).
        """
        steps, rows = began.shape
        features = self.features(frames.flatten(0, 1))
        if not self.recurrent:
            return self.judge(features)
        seen, memory, known = features.view(steps, rows, -1), memories[0], []
        for t in range(steps):
            memory = torch.where(began[t, :, None], memories[t], memory)
            known.append(self.recall(seen[t], memory))
            memory = self.remember(known[-1], actions[t])
        return self.judge(torch.cat(known))


def load_agent(folder: Path, device: torch.device | str = "cpu") -> Agent:
    """The agent that a training left in `folder`, ready to act.

    Raises:
        InputError: there is none, or it is damaged or of another version.
    """
    checkpoint = _open(folder)
    agent = Agent(from_json(AgentConfig, checkpoint.config, str(checkpoint.path)))
    checkpoint.restore({"model": agent}, config=agent.config)
    return agent.to(device).eval().requires_grad_(False)


def agent_counters(folder: Path) -> Mapping[str, Any]:
    """What the training wrote beside the weights: environment, steps, seconds, seed."""
    return _open(folder).counters


def same_architecture(folder: Path, config: AgentConfig) -> Agent:
    """A trainable copy of the agent in `folder`.

    Raises:
        InputError: as `load_agent`, or its architecture is another one.
    """
    agent = Agent(config)
    checkpoint = _open(folder)
    saved, wanted = checkpoint.config, to_json(config)
    if saved != wanted:
        names = [name for name in wanted if saved.get(name) != wanted[name]]
        raise InputError(
            f"{checkpoint.path} holds an agent with another {' and '.join(names)} "
            f"({', '.join(f'{n}={saved.get(n)!r}' for n in names)}) than asked for "
            f"({', '.join(f'{n}={wanted[n]!r}' for n in names)}); ask for the same."
        )
    checkpoint.restore({"model": agent}, config=config)
    return agent


def _open(folder: Path) -> Checkpoint:
    found = Checkpoint.find(folder)
    if found is None:
        raise InputError(
            f"{folder} holds no agent; give the folder that `worldmodel agent train --out` wrote."
        )
    return found
