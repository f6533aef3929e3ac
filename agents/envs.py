"""N environments of any id of the project, whose observations are tensors on one device."""

import importlib
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.errors import InputError
from worldmodel_env.precision import resolve_device

Mode = Literal["sync", "async"]
ENDLESS = 20_000
"""An episode of so many steps is taken for one that never ends."""
_MODULES = {"Sim": "simulators", "Teco": "worldmodel_env"}
"""Which module registers an id that begins so."""


@dataclass(frozen=True)
class Step:
    """What N environments answered.

    Attributes:
        obs: (N, H, W, C) uint8, of rows that ended the first of their next episode.
        reward: (N,) float32.
        terminated: (N,) bool.
        truncated: (N,) bool.
        final_obs: (N, H, W, C) uint8, what the action led to, also where that was the end.
        surprise: (N,) float32, of imagined frames; zeros where nothing is imagined.
        memory: what to remember of rows that begin with more than one frame; see `branching.py`.
    """

    obs: Tensor
    reward: Tensor
    terminated: Tensor
    truncated: Tensor
    final_obs: Tensor
    surprise: Tensor
    memory: Tensor | None = None


class Envs:
    """A native batch where the id has one, else N copies in this process or in one each.

    Args:
        name: Gymnasium id, or "module:id".
        num_envs: N.
        kwargs: of the environment.
        mode: of ids without a batch of their own: "sync" or "async".
        device: where tensors live; "auto" is the first GPU, else the CPU.
        autoreset: SAME_STEP to train, DISABLED to reset rows by hand.

    Raises:
        InputError: no such id, or its arguments are wrong.
    """

    def __init__(
        self,
        name: str,
        num_envs: int,
        kwargs: Mapping[str, Any],
        *,
        mode: Mode = "sync",
        device: str = "auto",
        autoreset: AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> None:
        if num_envs < 1:
            raise InputError(f"num_envs is {num_envs}; give 1 or more.")
        self.name = name
        spec = find_spec(name)
        self.imagined = spec.vector_entry_point is not None
        self.device = resolve_device(device)
        try:
            if self.imagined:
                self.env: VectorEnv = gymnasium.make_vec(
                    spec, num_envs=num_envs, autoreset_mode=autoreset,
                    output="torch", device=str(self.device), **kwargs,
                )  # fmt: skip
            else:
                self.env = gymnasium.make_vec(
                    spec, num_envs=num_envs, vectorization_mode=mode,
                    vector_kwargs={"autoreset_mode": autoreset}, **kwargs,
                )  # fmt: skip
        except TypeError as error:
            raise InputError(f"{name} cannot be made ({error}); check its arguments.") from None
        self.num_envs = num_envs
        self.single_observation_space = self.env.single_observation_space
        self.single_action_space = self.env.single_action_space
        self._lasted = np.zeros(num_envs, np.int64)

    def reset(
        self, seed: int | Sequence[int | None] | None, rows: NDArray[np.bool_] | None = None
    ) -> Tensor:
        """Begin all episodes, or those of some `rows` (where resets are by hand)."""
        options = None if rows is None or rows.all() else {"reset_mask": rows}
        self._lasted[slice(None) if rows is None else rows] = 0
        given: Any = list(seed) if isinstance(seed, Sequence) else seed
        obs, _ = self.env.reset(seed=given, options=options)
        return self._tensor(obs)

    def step(self, actions: NDArray) -> Step:
        """Take one step in each; `actions` as the environments take them.

        Raises:
            InputError: an episode does not end.
        """
        obs, reward, terminated, truncated, info = self.env.step(actions)
        seen = self._tensor(obs)
        ends = self._tensor(terminated), self._tensor(truncated)
        ended = (ends[0] | ends[1]).cpu().numpy()
        final = seen
        if "final_obs" in info:
            final = seen.clone()
            for row in np.flatnonzero(ended):
                final[row] = torch.as_tensor(info["final_obs"][row])
        self._lasted = np.where(ended, 0, self._lasted + 1)
        if self._lasted.max() > ENDLESS:
            raise InputError(
                f"{self.name} has not ended an episode in {ENDLESS} steps; give it a time limit, "
                "such as max_episode_steps=300."
            )
        surprise = np.array(info.get("surprise", np.zeros(self.num_envs)), np.float32)
        if "surprise" in info.get("final_info", {}):
            surprise = np.where(ended, info["final_info"]["surprise"], surprise)
        paid = self._tensor(reward).float()
        return Step(seen, paid, *ends, final, torch.as_tensor(surprise, device=self.device))

    def row(self, index: int) -> Any:
        """One of the environments, where they are in this process; else all of them."""
        return self.env.envs[index] if hasattr(self.env, "envs") else self.env

    def close(self) -> None:
        """Stop them."""
        self.env.close()

    def _tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(array).to(self.device)


def find_spec(name: str) -> EnvSpec:
    """The spec of an id, whose module is imported first.

    Raises:
        InputError: there is none.
    """
    module, _, plain = name.rpartition(":")
    own = next((m for start, m in _MODULES.items() if plain.startswith(start)), None)
    try:
        for wanted in filter(None, (module, own)):
            importlib.import_module(wanted)
        return gymnasium.spec(plain)
    except (ModuleNotFoundError, gymnasium.error.Error) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"environment {name!r} is unknown ({reason}); give an id such as TecoMaze-v0 or "
            "SimMaze-v0, or module:id."
        ) from None


def has_splits(name: str) -> bool:
    """Whether an environment takes `split`, and has other worlds for each."""
    entry = find_spec(name).entry_point
    creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
    return "split" in inspect.signature(creator).parameters


def parse_kwargs(words: Sequence[str]) -> dict[str, Any]:
    """Arguments of an environment from words such as size=5, split=test.

    Raises:
        InputError: a word is not NAME=VALUE.
    """
    kwargs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals):
            raise InputError(f"{word!r} is no argument of an environment; give NAME=VALUE.")
        try:
            kwargs[name] = json.loads(value)
        except ValueError:
            kwargs[name] = value
    return kwargs
