"""`TecoMaze-v0` and its kind: Gymnasium environments inside a world (docs/environment.md)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.error import ClosedEnvironmentError, ResetNeeded
from numpy.typing import NDArray

from worldmodel_env.envs.actions import one_action
from worldmodel_env.envs.episodes import Episodes, check_frames
from worldmodel_env.envs.keys import keys_to_action
from worldmodel_env.envs.moment import Moment
from worldmodel_env.envs.options import beginning
from worldmodel_env.envs.picture import enlarged
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.precision import Precision

Observation = NDArray[np.uint8]


class TecoEnv(gymnasium.Env):
    """Acts inside a world: `reset` shows the first frame of an episode, `step` imagines the next.

    The spaces are those of the simulator that the world imitates. The reward is the expected one;
    `terminated` is drawn with the model's probability; `truncated` is left to Gymnasium's
    TimeLimit.
    All randomness derives from `np_random` at reset, so a seed and the actions fix an episode.

    `info` holds numpy scalars: `elapsed_steps`, `start` (index of the start, -1 after another
    beginning), and after a step `surprise` (mean entropy of the frame's codes in nats).

    Args:
        world: a shipped world's name, a world's folder, or a `World`.
        backend: what runs the step; see `imagination/backend.py`.
        precision: "fp32", "bf16", or "auto": bf16 where the hardware has it.
        device: "auto", "cpu", "cuda", ...
        threads: CPU threads of a step.
        sampling: a `Sampling` instead of the world's own, or a dict of the fields to change.
        action_meanings: of each action, such as "forward"; tells `get_keys_to_action` the keys.
        render_mode: None or "rgb_array"; `gymnasium.make` makes a window of it for "human".

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
        action_meanings: Sequence[str] | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise InputError(
                f"render_mode is {render_mode!r}; choose None or 'rgb_array', or let "
                "gymnasium.make show the frames with render_mode='human'."
            )
        self._episodes: Episodes | None = Episodes(
            world,
            1,
            backend=backend,
            precision=precision,
            device=device,
            threads=threads,
            sampling=sampling,
        )
        self.world = self._episodes.world
        self.observation_space = self.world.observation_space
        self.action_space = self.world.action_space
        self.action_meanings = action_meanings
        self.render_mode = render_mode
        self._moment: Moment | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: of `np_random`, which draws the start and the noise of the episode.
            options: {"start": index} begins with that one of the world's starts;
                {"context": (frames, actions)} with real frames (C, H, W, 3) uint8 and the C-1
                actions between them, whose last frame is the observation;
                {"unconditional": True} with a frame imagined out of nothing, in worlds that have
                learned to.

        Raises:
            InputError: unknown or unfit options.
            ClosedEnvironmentError: after `close`.
        """
        episodes = self._open()
        how = beginning({} if options is None else options, self.world, None)
        super().reset(seed=seed)
        self._moment = moment = episodes.begin(how, [self.np_random])
        return _observation(moment), _info(moment)

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Imagine the transition that `action` makes; goes on after a termination if asked to.

        Raises:
            InvalidAction: the action is not in the action space.
            ResetNeeded: before the first `reset`.
            ClosedEnvironmentError: after `close`.
        """
        episodes, now = self._open(), self._present()
        moment, got = episodes.step(now, one_action(self.action_space, action))
        self._moment = moment
        info = {**_info(moment), "surprise": got.surprise[0]}
        return _observation(moment), float(got.reward[0]), bool(got.terminated[0]), False, info

    def observe(self, frame: Observation, action: Any) -> None:
        """Take in a real frame instead of imagining one; the next `step` goes on from it.

        Args:
            frame: (H, W, 3) uint8, what `action` led to.
            action: as in `step`.

        Raises:
            InputError: the frame is not in the observation space.
            InvalidAction, ResetNeeded, ClosedEnvironmentError: as in `step`.
        """
        episodes, now = self._open(), self._present()
        frames = check_frames(frame, self.world.observation_space.shape)
        self._moment = episodes.observe(now, frames[None], one_action(self.action_space, action))

    def get_state(self) -> dict[str, NDArray]:
        """Everything that the episode's future depends on; of the same size at every step.

        It is the state of a vector environment of one row. The wrappers around and `np_random`,
        which only the next `reset` asks, are not in it.
        """
        self._open()
        return self._present().arrays()

    def set_state(self, state: Mapping[str, NDArray]) -> None:
        """Go back to what `get_state` returned, here or in another process, also before a reset.

        Raises:
            InputError: it is not a state of this world.
            ClosedEnvironmentError: after `close`.
        """
        self._moment = self._open().restore(state, self._moment)

    def fork(self, n: int, *, fresh_noise: bool = False) -> TecoVectorEnv:
        """`n` futures of the present moment, imagined in one batch.

        Args:
            n: rows of the vector environment, which is at this moment and needs no reset.
            fresh_noise: whether each row draws its own noise from here on; else all share this
                episode's and differ by their actions alone.

        Raises:
            InputError: `n` is no positive whole number.
            ResetNeeded, ClosedEnvironmentError: as in `step`.
        """
        return TecoVectorEnv.forked(
            self._open(), self._present(), [self.np_random], n, fresh_noise=fresh_noise
        )

    def render(self) -> Observation | None:  # type: ignore[override]
        """The present frame, enlarged for people; None without a render mode."""
        if self.render_mode is None:
            return None
        self._open()
        return enlarged(_observation(self._present()))

    def get_keys_to_action(self) -> dict[tuple[int, ...], int]:
        """Keys of WASD and the arrows -> action, as `gymnasium.utils.play` asks for them.

        Raises:
            InputError: the meanings of this world's actions are not known.
        """
        return keys_to_action(self.action_space, self.action_meanings)

    def close(self) -> None:
        """Let go of the model; may be called again."""
        self._episodes = self._moment = None

    def _open(self) -> Episodes:
        if self._episodes is None:
            raise ClosedEnvironmentError("the environment is closed; make another one.")
        return self._episodes

    def _present(self) -> Moment:
        if self._moment is None:
            raise ResetNeeded("the environment has no episode yet; call reset() first.")
        return self._moment


def _observation(moment: Moment) -> Observation:
    # A copy: on the CPU the array shares the moment's memory, and users may write to theirs.
    return moment.frame[0].cpu().numpy().copy()


def _info(moment: Moment) -> dict[str, Any]:
    return {"elapsed_steps": moment.elapsed[0], "start": moment.start[0]}
