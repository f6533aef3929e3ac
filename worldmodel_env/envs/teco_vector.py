"""`gymnasium.make_vec("TecoMaze-v0", num_envs=N)`: N imagined worlds in one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch
from gymnasium.error import ClosedEnvironmentError, Error, ResetNeeded
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from worldmodel_env.envs.actions import row_actions
from worldmodel_env.envs.episodes import Episodes, Transition, check_frames
from worldmodel_env.envs.keys import keys_to_action
from worldmodel_env.envs.moment import Moment
from worldmodel_env.envs.options import Beginning, beginning, reset_mask
from worldmodel_env.envs.picture import enlarged
from worldmodel_env.envs.vector_info import vector_info
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.precision import Precision

Array = NDArray | Tensor
Output = Literal["numpy", "torch"]


class TecoVectorEnv(VectorEnv):
    """N environments as `TecoEnv`, stepped by one batched model.

    Environment i has its own `np_random`, seeded with seed + i. What it shows depends on that, on
    its actions and on N, never on its neighbours.

    Args:
        num_envs: N.
        world: a shipped world's name, a world's folder, or a `World`.
        max_episode_steps: transitions after which an episode is truncated; None or -1: never.
        autoreset_mode: Gymnasium's `AutoresetMode` or its value: the step after an end begins anew
            ("NextStep"), the same step does ("SameStep"), or only `reset` does ("Disabled").
        output: "numpy", or "torch": observations, rewards and ends as tensors on the device, which
            share the environment's memory and are not to be written to.
        backend: what runs the step; see `imagination/backend.py`.
        precision: "fp32", "bf16", or "auto": bf16 where the hardware has it.
        device: "auto", "cpu", "cuda", ...
        threads: CPU threads of a step.
        sampling: a `Sampling` instead of the world's own, or a dict of the fields to change.
        action_meanings: as of `TecoEnv`.
        render_mode: None or "rgb_array".

    Raises:
        InputError: an argument out of its range, or no such world.
    """

    metadata = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 15,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        world: str | Path | World | None = None,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        output: Output = "numpy",
        backend: str = "auto",
        precision: Precision = "auto",
        device: str = "auto",
        threads: int = 1,
        sampling: Sampling | dict[str, Any] | None = None,
        action_meanings: Sequence[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        _check_whole("num_envs", num_envs)
        if max_episode_steps is not None and max_episode_steps != -1:
            _check_whole("max_episode_steps", max_episode_steps)
        if output not in (known := get_args(Output)):
            raise InputError(f"output is {output!r}; choose one of {', '.join(map(repr, known))}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InputError(f"render_mode is {render_mode!r}; choose None or 'rgb_array'.")
        mode = _autoreset_mode(autoreset_mode)
        episodes = Episodes(
            world,
            num_envs,
            backend=backend,
            precision=precision,
            device=device,
            threads=threads,
            sampling=sampling,
        )
        limit = None if max_episode_steps == -1 else max_episode_steps
        self._setup(episodes, limit, mode, output, action_meanings, render_mode)

    def _setup(
        self,
        episodes: Episodes,
        max_episode_steps: int | None,
        autoreset_mode: AutoresetMode,
        output: Output,
        action_meanings: Sequence[str] | None,
        render_mode: str | None,
    ) -> None:
        self.num_envs = episodes.rows
        self.world = episodes.world
        self.max_episode_steps = max_episode_steps
        self.autoreset_mode = autoreset_mode
        self.output = output
        self.action_meanings = action_meanings
        self.render_mode = render_mode
        self.metadata = {**type(self).metadata, "autoreset_mode": autoreset_mode}
        if output == "torch":
            self.metadata["torch"] = True
        self.single_observation_space = self.world.observation_space
        self.single_action_space = self.world.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._episodes: Episodes | None = episodes
        self._moment: Moment | None = None
        self._generators = [seeding.np_random() for _ in range(self.num_envs)]

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """Of each environment."""
        return tuple(generator for generator, _ in self._generators)

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """Of each environment; -1 where it is not known."""
        return tuple(seed for _, seed in self._generators)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Begin episodes.

        Args:
            seed: of environment 0, the others taking the next ones, or one for each.
            options: as of `TecoEnv.reset`, for all alike or for each: {"start": N indices},
                {"context": (frames (N, C, H, W, 3), actions (N, C-1, ...))}. With {"reset_mask":
                (N,) bool} only those that are True begin anew.

        Raises:
            InputError: unknown or unfit options.
            gymnasium.error.Error: a seed is no non-negative int.
            ResetNeeded: a mask before the first whole reset.
            ClosedEnvironmentError: after `close`.
        """
        episodes = self._open()
        given = {} if options is None else dict(options)
        rows = np.ones(self.num_envs, bool)
        if "reset_mask" in given:
            rows = reset_mask(given.pop("reset_mask"), self.num_envs)
        how = beginning(given, self.world, self.num_envs)
        now = None if rows.all() else self._present()
        self._seed(seed, rows)
        self._moment = moment = episodes.begin(how, self.np_random, rows, now)
        return self._observation(moment), vector_info(_told(moment), rows)

    def step(self, actions: Any) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Imagine a transition of each environment, and begin anew those that ended, by the mode.

        Args:
            actions: N, one of each environment; of those that begin anew in this step whatever.

        Returns:
            Observations (N, H, W, 3) uint8, rewards (N,) float64 (tensors: float32), terminated and
            truncated (N,) bool, info.

        Raises:
            InvalidAction: an action is not in the action space.
            ResetNeeded: before the first `reset`, or, where autoreset is disabled, after an end.
            ClosedEnvironmentError: after `close`.
        """
        episodes, now = self._open(), self._present()
        again = np.zeros(self.num_envs, bool)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP:
            again = now.ended
        elif self.autoreset_mode is AutoresetMode.DISABLED and now.ended.any():
            raise ResetNeeded(
                f"the environments {np.flatnonzero(now.ended).tolist()} have ended; reset them "
                "with options={'reset_mask': ...}."
            )
        action = row_actions(self.single_action_space, self.action_space, actions, ignored=again)
        if again.any():  # first, for an ended episode may be one that cannot be stepped
            now = episodes.begin(Beginning(), self.np_random, again, now)
        moment, got = episodes.step(now, action)
        reward, terminated, truncated = self._judge(moment, got, again)
        info = vector_info({"surprise": got.surprise}, ~again)
        moment = replace(moment, ended=terminated | truncated)
        if again.any():
            moment = moment.replaced(again, now)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and moment.ended.any():
            info, moment = self._restart(moment, got)
        self._moment = moment
        info |= vector_info(_told(moment), np.ones(self.num_envs, bool))
        ends = self._give(terminated), self._give(truncated)
        return self._observation(moment), self._give(reward), *ends, info

    def observe(self, frames: Array, actions: Any) -> None:
        """Take in real frames instead of imagining them; the next `step` goes on from these.

        Args:
            frames: (N, H, W, 3) uint8, what the actions led to.
            actions: N, one of each environment.

        Raises:
            InputError: the frames are not in the observation space.
            InvalidAction, ResetNeeded, ClosedEnvironmentError: as in `step`.
        """
        episodes, now = self._open(), self._present()
        array = check_frames(frames, (self.num_envs, *self.world.observation_space.shape))
        nobody = np.zeros(self.num_envs, bool)
        action = row_actions(self.single_action_space, self.action_space, actions, ignored=nobody)
        self._moment = episodes.observe(now, array, action)

    def get_state(self) -> dict[str, NDArray]:
        """Everything that the episodes' futures depend on, a row each; of one size at every step.

        `np_random`, which only the next resets ask, is not in it.
        """
        self._open()
        return self._present().arrays()

    def set_state(self, state: Mapping[str, NDArray]) -> None:
        """Go back to what `get_state` returned, here or in another process, also before a reset.

        Args:
            state: of N rows, or of one (a single environment's), which all environments then take.

        Raises:
            InputError: it is not a state of this world.
            ClosedEnvironmentError: after `close`.
        """
        self._moment = self._open().restore(state, self._moment)

    def adopt(self, other: "TecoVectorEnv", rows: NDArray[np.bool_]) -> Array:
        """Go on, in some rows, where the same rows of another environment are.

        So may episodes be begun ahead of time, many in one batch, and be taken up one by one.

        Args:
            other: of the same world and size, such as a fork.
            rows: (N,) which; all of them, before the first reset.

        Returns:
            Observations (N, H, W, 3) uint8.

        Raises:
            InputError: another world or size, or `rows` is no such mask.
            ResetNeeded, ClosedEnvironmentError: as in `step`, also of `other`.
        """
        rows = reset_mask(rows, self.num_envs)
        mine, theirs = self._open(), other._open()
        if (mine.world is not theirs.world) or self.num_envs != other.num_envs:
            raise InputError(
                f"{other.num_envs} environments of world {other.world.name!r} cannot be taken up "
                f"by {self.num_envs} of {self.world.name!r}; give a fork with n=1."
            )
        moment = other._present()
        self._moment = moment if rows.all() else self._present().replaced(rows, moment)
        return self._observation(self._moment)

    def fork(self, n: int, *, fresh_noise: bool = False) -> Self:
        """`n` futures of each environment: rows i*n to (i+1)*n - 1 go on from environment i.

        Args:
            n: copies of each.
            fresh_noise: as of `TecoEnv.fork`.

        Raises:
            InputError: `n` is no positive whole number.
            ResetNeeded, ClosedEnvironmentError: as in `step`.
        """
        settings = self.max_episode_steps, self.autoreset_mode, self.output
        return self.forked(
            self._open(), self._present(), self.np_random, n, *settings, fresh_noise=fresh_noise
        )

    @classmethod
    def forked(
        cls,
        episodes: Episodes,
        moment: Moment,
        generators: Sequence[np.random.Generator],
        n: int,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP,
        output: Output = "numpy",
        *,
        fresh_noise: bool,
    ) -> Self:
        """`n` rows of each row of `moment`; used by `fork`."""
        _check_whole("n", n)
        env = cls.__new__(cls)
        rows = episodes.resized(episodes.rows * n)
        env._setup(rows, max_episode_steps, autoreset_mode, output, None, None)
        # Children, so that a fork leaves what its parent will draw as it is.
        env._generators = [(child, -1) for parent in generators for child in parent.spawn(n)]
        env._moment = moment.repeated(n)
        if fresh_noise:
            keys = [int(g.integers(1 << 63, dtype=np.uint64)) for g in env.np_random]
            env._moment = replace(env._moment, key=torch.tensor(keys).to(moment.key))
        return env

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """The present frames, enlarged for people; None without a render mode."""
        if self.render_mode is None:
            return None
        self._open()
        return tuple(enlarged(frame) for frame in self._present().frame.cpu().numpy())

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """As `TecoEnv.get_keys_to_action`, for each environment."""
        return keys_to_action(self.single_action_space, self.action_meanings)

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the model."""
        self._episodes = self._moment = None

    def _judge(
        self, moment: Moment, got: Transition, again: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
        limit = np.inf if self.max_episode_steps is None else self.max_episode_steps
        reward = np.where(again, 0.0, got.reward.astype(np.float64))
        return reward, got.terminated & ~again, (moment.elapsed >= limit) & ~again

    def _restart(self, moment: Moment, got: Transition) -> tuple[dict[str, Any], Moment]:
        """Begin those anew that ended; what they had come to goes into info."""
        ended = moment.ended
        last = self._observation(moment)
        final = np.full(self.num_envs, None, object)
        for row in np.flatnonzero(ended):
            final[row] = last[row]
        info = {
            **vector_info({"surprise": got.surprise}, ~ended),
            "final_obs": final,
            "_final_obs": ended.copy(),
            "final_info": vector_info({**_told(moment), "surprise": got.surprise}, ended),
            "_final_info": ended.copy(),
        }
        return info, self._open().begin(Beginning(), self.np_random, ended, moment)

    def _seed(self, seed: int | Sequence[int | None] | None, rows: NDArray[np.bool_]) -> None:
        if seed is None:
            return
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        if not isinstance(seeds, list | tuple) or len(seeds) != self.num_envs:
            raise Error(
                f"the seed is {seed!r}; give a python integer, or a list of {self.num_envs} such."
            )
        fresh = [None if s is None else seeding.np_random(s) for s in seeds]
        for row, generator in enumerate(fresh):
            if generator is not None and rows[row]:
                self._generators[row] = generator

    def _observation(self, moment: Moment) -> Array:
        if self.output == "torch":
            return moment.frame
        # A copy: on the CPU the array shares the moment's memory, and users may write to theirs.
        return moment.frame.cpu().numpy().copy()

    def _give(self, array: NDArray) -> Array:
        if self.output == "numpy":
            return array
        dtype = np.float32 if array.dtype == np.float64 else array.dtype
        return torch.from_numpy(array.astype(dtype)).to(self._open().backend.device)

    def _open(self) -> Episodes:
        if self._episodes is None:
            raise ClosedEnvironmentError("the environment is closed; make another one.")
        return self._episodes

    def _present(self) -> Moment:
        if self._moment is None:
            raise ResetNeeded("the environments have no episodes yet; call reset() first.")
        return self._moment


def _told(moment: Moment) -> dict[str, NDArray]:
    return {"elapsed_steps": moment.elapsed, "start": moment.start}


def _check_whole(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {value!r}; give a whole number, 1 or more.")


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        known = ", ".join(repr(m.value) for m in AutoresetMode)
        raise InputError(
            f"autoreset_mode is {mode!r}; choose one of gymnasium.vector.AutoresetMode, or of "
            f"{known}."
        ) from None
