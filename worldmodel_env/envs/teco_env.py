"""`TecoMaze-v0` and its kind: Gymnasium environments inside a world (docs/environment.md)."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ClosedEnvironmentError, InvalidAction, ResetNeeded
from numpy.typing import NDArray

from worldmodel_env.envs.actions import action_batch
from worldmodel_env.envs.ending import ends
from worldmodel_env.envs.moment import Moment
from worldmodel_env.envs.options import ResetOptions
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Sampling, State
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import Precision

BACKENDS = ("auto", "torch")
RENDERED_SIDE = 192
"""Frames are enlarged for people to at least this many pixels a side, as SimMaze-v0's are."""

Observation = NDArray[np.uint8]


class TecoEnv(gymnasium.Env):
    """Acts inside a world: `reset` shows the first frame of an episode, `step` imagines the next.

    The spaces are those of the simulator that the world imitates. The reward is the expected one;
    `terminated` is drawn with the model's probability; `truncated` is left to Gymnasium's
    TimeLimit.
    All randomness derives from `np_random` at reset, so a seed and the actions fix an episode.

    `info` holds numpy scalars: `elapsed_steps`, `start` (index of the start, -1 after a context),
    and after a step `surprise` (mean entropy of the frame's codes in nats).

    Args:
        world: a shipped world's name, a world's folder, or a `World`.
        backend: what runs the step: "auto" or "torch".
        precision: "fp32", "bf16", or "auto": bf16 where the hardware has it.
        device: "auto", "cpu", "cuda", ...
        threads: CPU threads of a step.
        sampling: a `Sampling` instead of the world's own, or a dict of the fields to change.
        render_mode: None or "rgb_array".

    Raises:
        InputError: an argument out of its range, or no such world.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        world: str | Path | World | None = None,
        *,
        backend: str = "auto",
        precision: Precision = "auto",
        device: str = "auto",
        threads: int = 1,
        sampling: Sampling | dict[str, Any] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if backend not in BACKENDS:
            choices = ", ".join(map(repr, BACKENDS))
            raise InputError(f"backend is {backend!r}; choose one of {choices}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InputError(f"render_mode is {render_mode!r}; choose None or 'rgb_array'.")
        self.world = _load(world)
        self.observation_space = self.world.observation_space
        self.action_space = self.world.action_space
        self.render_mode = render_mode
        self._backend: TorchBackend | None = TorchBackend(
            self.world,
            device=device,
            precision=precision,
            threads=threads,
            sampling=_sampling(sampling, self.world.config.sampling),
        )
        self._moment: Moment | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: of `np_random`, which draws the start and the noise of the episode.
            options: {"start": index} begins with that one of the world's starts;
                {"context": (frames, actions)} with real frames (C, H, W, 3) uint8 and the C-1
                actions between them, whose last frame is the observation.

        Raises:
            InputError: unknown or unfit options.
            ClosedEnvironmentError: after `close`.
        """
        backend = self._open()
        wanted = ResetOptions.check(
            options,
            starts=len(self.world.starts),
            observation_space=self.observation_space,  # type: ignore[arg-type]
            action_space=self.action_space,
        )
        super().reset(seed=seed)
        # Both are drawn whatever the options, which thus do not change the noise.
        start = int(self.np_random.integers(len(self.world.starts)))
        key = int(self.np_random.integers(1 << 63, dtype=np.uint64))
        start = start if wanted.start is None else wanted.start
        if wanted.frames is None:
            self._moment = self._begin(start, key)
        else:
            codes = backend.encode(wanted.frames[:1])
            moment = Moment(backend.begin(codes), self._key(key), 0, -1, wanted.frames[-1].copy())
            actions = action_batch(self.action_space, wanted.actions)  # type: ignore[arg-type]
            state = moment.state
            for i in range(len(actions)):
                state = backend.observe(state, wanted.frames[i + 1 : i + 2], actions[i : i + 1])
            self._moment = replace(moment, state=state)
        return self._moment.frame.copy(), self._info(self._moment)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Imagine the transition that `action` makes; goes on after a termination if asked to.

        Raises:
            InvalidAction: the action is not in the action space.
            ResetNeeded: before the first `reset`.
            ClosedEnvironmentError: after `close`.
        """
        backend, now = self._open(), self._present()
        state, imagined = backend.step(now.state, self._action(action), now.key)
        ended = ends(imagined.termination, now.key, now.state["index"])
        self._moment = moment = self._next(now, state, imagined.frame[0].cpu().numpy())
        info = {**self._info(moment), "surprise": np.float32(imagined.surprise.item())}
        return moment.frame.copy(), imagined.reward.item(), bool(ended.item()), False, info

    def observe(self, frame: Observation, action: Any) -> None:
        """Take in a real frame instead of imagining one; the next `step` goes on from it.

        Args:
            frame: (H, W, 3) uint8, what `action` led to.
            action: as in `step`.

        Raises:
            InputError: the frame is not in the observation space.
            InvalidAction, ResetNeeded, ClosedEnvironmentError: as in `step`.
        """
        backend, now = self._open(), self._present()
        if not self.observation_space.contains(frame):
            array = np.asarray(frame)
            raise InputError(
                f"the observed frame is {array.dtype} {array.shape}, expected uint8 "
                f"{self.observation_space.shape}; give a frame as the environment returns it."
            )
        state = backend.observe(now.state, frame[None], self._action(action))
        self._moment = self._next(now, state, frame)

    def get_state(self) -> dict[str, NDArray]:
        """Everything that the episode's future depends on; of the same size at every step.

        The wrappers around and `np_random`, which only the next `reset` asks, are not in it.
        """
        self._open()
        return self._present().arrays()

    def set_state(self, state: Mapping[str, NDArray]) -> None:
        """Go back to what `get_state` returned, here or in another process, also before a reset.

        Raises:
            InputError: it is not a state of this world.
            ClosedEnvironmentError: after `close`.
        """
        self._open()
        like = self._moment if self._moment is not None else self._begin(0, 0)
        self._moment = like.restored(state)

    def render(self) -> Observation | None:  # type: ignore[override]
        """The present frame, enlarged for people; None without a render mode."""
        if self.render_mode is None:
            return None
        self._open()
        frame = self._present().frame
        factor = math.ceil(RENDERED_SIDE / frame.shape[0])
        return frame.repeat(factor, 0).repeat(factor, 1)

    def close(self) -> None:
        """Let go of the model; may be called again."""
        self._backend = self._moment = None

    def _open(self) -> TorchBackend:
        if self._backend is None:
            raise ClosedEnvironmentError("the environment is closed; make another one.")
        return self._backend

    def _present(self) -> Moment:
        if self._moment is None:
            raise ResetNeeded("the environment has no episode yet; call reset() first.")
        return self._moment

    def _begin(self, start: int, key: int) -> Moment:
        backend = self._open()
        state = backend.begin(self.world.starts[start][None])
        return Moment(state, self._key(key), 0, start, backend.decode(state)[0].cpu().numpy())

    def _key(self, key: int) -> torch.Tensor:
        return torch.tensor([key], device=self._open().device)

    def _action(self, action: Any) -> NDArray:
        if not self.action_space.contains(action):
            raise InvalidAction(
                f"the action {action!r} is not in {self.action_space}; give one that is, such as "
                "env.action_space.sample()."
            )
        return action_batch(self.action_space, [action])

    @staticmethod
    def _next(now: Moment, state: State, frame: Observation) -> Moment:
        return replace(now, state=state, elapsed=now.elapsed + 1, frame=frame.copy())

    @staticmethod
    def _info(moment: Moment) -> dict[str, Any]:
        return {"elapsed_steps": np.int64(moment.elapsed), "start": np.int64(moment.start)}


def _load(world: str | Path | World | None) -> World:
    if isinstance(world, World):
        return world
    if isinstance(world, str | Path):
        return World.load(world)
    raise InputError(
        f"world is {world!r}; give a shipped world's name, a world's folder or a World, as in "
        "gymnasium.make(..., world='maze')."
    )


def _sampling(given: Sampling | dict[str, Any] | None, own: Sampling) -> Sampling:
    if given is None or isinstance(given, Sampling):
        return given or own
    try:
        return replace(own, **given)
    except TypeError:
        names = ", ".join(f"{name!r}" for name in asdict(own))
        raise InputError(
            f"sampling is {given!r}; give a Sampling, or a dict with some of {names}."
        ) from None
