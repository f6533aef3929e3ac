"""Play one episode in a simulator: a pure function of (simulator, arguments, policy, seed)."""

import difflib
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec, load_env_creator

from simulators.mixture import Mixture
from simulators.versions import versions
from worldmodel_env.data import schema
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.writer import write_episode
from worldmodel_env.errors import InputError

_ANY = "gym:"
_SHOWS_ANY = "SimGym-v0"


@dataclass(frozen=True)
class Recipe:
    """All that fixes an episode's content, its seed aside.

    Attributes:
        simulator: Gymnasium id, or "module:id" for one that a module registers when imported.
        env_kwargs: arguments for `gymnasium.make`.
        policy: who acts: a policy's name, or a mixture.
    """

    simulator: str
    env_kwargs: Mapping[str, Any]
    policy: str

    @classmethod
    def check(
        cls, simulator: str, env_kwargs: Mapping[str, Any], policy: str, max_steps: int | None
    ) -> "Recipe":
        """Return the recipe; InputError for an unknown simulator, argument or policy.

        "gym:ID" stands for `SimGym-v0`, which shows the Gymnasium environment ID.
        """
        from simulators import explorers

        limit = "max_episode_steps"
        if simulator.startswith(_ANY):
            env_kwargs = {"env_id": simulator.removeprefix(_ANY), **env_kwargs}
            simulator, limit = _SHOWS_ANY, "max_steps"
        spec = find_simulator(simulator)
        parameters = _parameters(spec)
        for name in env_kwargs:
            if parameters is not None and name not in (*parameters, "max_episode_steps"):
                raise InputError(
                    f"{simulator} takes no argument {name!r}: use {', '.join(sorted(parameters))}"
                )
        own = spec.max_episode_steps
        if simulator == _SHOWS_ANY:
            own = find_simulator(str(env_kwargs.get("env_id"))).max_episode_steps
        if max_steps is None and limit not in env_kwargs and own is None:
            raise InputError(f"{simulator} has no time limit of its own: give one with max_steps")
        if max_steps is not None and max_steps < 1:
            raise InputError(f"max_steps is {max_steps}: use 1 or more")
        given = {} if max_steps is None else {limit: max_steps}
        for name in Mixture.parse(policy).names:
            explorers.make(name)
        return cls(simulator, {**env_kwargs, **given}, policy)

    @cached_property
    def mixture(self) -> Mixture:
        """Who acts, parsed."""
        return Mixture.parse(self.policy)

    def kwargs_for(self, split: str) -> dict[str, Any]:
        """The arguments for `split`: simulators with separate worlds per split are told which."""
        parameters = _parameters(find_simulator(self.simulator)) or {}
        return {**self.env_kwargs, **({"split": split} if "split" in parameters else {})}

    def task(self) -> str:
        """The simulator's task: its argument of that name, "" if it takes none."""
        parameter = (_parameters(find_simulator(self.simulator)) or {}).get("task")
        return str(self.env_kwargs.get("task", parameter.default if parameter else ""))

    def settings(self, seed: int) -> dict[str, str]:
        """The attributes of the episode of this seed that say how it was made."""
        return {
            "simulator": self.simulator,
            "env_kwargs": json.dumps(self.kwargs_for(schema.split_of(seed)), sort_keys=True),
            "policy": self.mixture.draw(seed),
        }


class Player:
    """A simulator kept open to play episodes of one split, one after another."""

    def __init__(self, recipe: Recipe, split: str) -> None:
        """Start the simulator; InputError if its spaces cannot be recorded."""
        from simulators import explorers

        self._recipe = recipe
        self._split = split
        self._policies = {name: explorers.make(name) for name in recipe.mixture.names}
        try:
            self._env = gymnasium.make(
                recipe.simulator, disable_env_checker=True, **recipe.kwargs_for(split)
            )
        except gymnasium.error.DependencyNotInstalled as error:
            raise InputError(f"{recipe.simulator} cannot start: {error}") from error
        try:
            self.frame_shape, self.action_space = _check_spaces(recipe.simulator, self._env)
        except InputError:
            self._env.close()
            raise

    def play(self, seed: int, beat: Callable[[], None] = lambda: None) -> Episode:
        """Play the episode of `seed`, which lies in the player's split, from reset to its end.

        Args:
            seed: the episode's.
            beat: called after every step, to tell that the simulator is alive.
        """
        env, settings = self._env, self._recipe.settings(seed)
        policy = self._policies[settings["policy"]]
        observation, info = env.reset(seed=seed)
        policy.reset(env, seed)
        start = info
        frames, poses = [self._frame(observation, 0)], [info.get("pose")]
        actions, rewards, terminations, truncations = [], [], [], []
        ended = False
        while not ended:
            beat()
            action = policy.act(env, observation, info)
            observation, reward, terminated, truncated, info = env.step(action)
            actions.append(action)
            frames.append(self._frame(observation, len(actions)))
            poses.append(info.get("pose"))
            rewards.append(reward)
            terminations.append(terminated)
            truncations.append(truncated)
            ended = terminated or truncated
        integers = not isinstance(self.action_space, spaces.Box)
        attributes = {
            **settings,
            "seed": seed,
            "split": self._split,
            "task": self._recipe.task(),
            "frame_skip": int(getattr(env.unwrapped, "frame_skip", 1)),
            "action_space": schema.space_to_json(self.action_space),
            "versions": versions(env),
            **{name: start[name] for name in ("layout", "goal") if start.get(name) is not None},
        }
        return Episode(
            observations=np.stack(frames),
            actions=np.array(actions, np.int64 if integers else np.float32),
            rewards=np.array(rewards, np.float32),
            terminations=np.array(terminations, np.bool_),
            truncations=np.array(truncations, np.bool_),
            pose=self._pose(poses),
            attributes=attributes,
        )

    def _frame(self, observation: Any, step: int) -> np.ndarray:
        frame = np.array(observation)  # a copy: simulators may reuse their buffer
        if frame.dtype != np.uint8 or frame.shape != self.frame_shape:
            raise InputError(
                f"{self._recipe.simulator} gave {frame.dtype} {frame.shape} at step {step}, not "
                f"uint8 {self.frame_shape} as its observation space says: mend it"
            )
        return frame

    def _pose(self, poses: list[Any]) -> np.ndarray | None:
        if all(pose is None for pose in poses):
            return None
        for step, pose in enumerate(poses):
            if np.shape(pose) != (3,) or not np.isfinite(np.asarray(pose, np.float64)).all():
                raise InputError(
                    f"{self._recipe.simulator} gave the pose {pose} at step {step}: expected three "
                    "finite numbers, x, y and heading, at every step or never"
                )
        return np.array(poses, np.float32)

    def close(self) -> None:
        """Stop the simulator."""
        self._env.close()


def record_one(
    data: Path, player: Player, seed: int, beat: Callable[[], None] = lambda: None
) -> tuple[int, int]:
    """Play the episode of `seed` and put it into its place; return its steps and bytes."""
    episode = player.play(seed, beat)
    path = data / schema.episode_file(seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {path.parent} ({error.strerror}): choose another one"
        ) from error
    write_episode(path, episode)
    return len(episode), path.stat().st_size


def find_simulator(simulator: str) -> EnvSpec:
    """Return the registered spec of an id or "module:id"; InputError with the known ids if none."""
    module, _, name = simulator.rpartition(":")
    if module:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise InputError(
                f"simulator {simulator!r} needs the module {error.name!r}, which is not installed"
            ) from error
    if name in gymnasium.registry:
        return gymnasium.registry[name]
    known = sorted(known_id for known_id in gymnasium.registry if known_id.startswith("Sim"))
    close = difflib.get_close_matches(name, [*known, *gymnasium.registry], 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise InputError(
        f"unknown simulator {simulator!r}: {hint}known are {', '.join(known)}, and any other "
        "Gymnasium environment that shows pictures, as gym:ID or gym:module:ID"
    )


def _parameters(spec: EnvSpec) -> Mapping[str, inspect.Parameter] | None:
    """The constructor's named arguments, or None if it takes any."""
    entry = spec.entry_point
    creator: Any = load_env_creator(entry) if isinstance(entry, str) else entry
    parameters = inspect.signature(creator).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    return None if inspect.Parameter.VAR_KEYWORD in kinds else parameters


def _check_spaces(simulator: str, env: gymnasium.Env) -> tuple[tuple[int, ...], schema.ActionSpace]:
    observation, action = env.observation_space, env.action_space
    if not (
        isinstance(observation, spaces.Box)
        and observation.dtype == np.uint8
        and len(observation.shape) == 3
        and observation.shape[-1] == 3
    ):
        raise InputError(
            f"{simulator} observes {observation}: only uint8 images (H, W, 3) can be recorded, "
            "so wrap it first"
        )
    if not (
        isinstance(action, spaces.Discrete)
        or (isinstance(action, spaces.MultiDiscrete | spaces.Box) and len(action.shape) == 1)
    ):
        raise InputError(
            f"{simulator} has the action space {action}: only Discrete, MultiDiscrete and Box of "
            "one dimension can be recorded, so wrap it first"
        )
    return observation.shape, action
