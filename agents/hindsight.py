"""Recorded moments in worlds that know how the recording went on.

A world that is shown a few frames makes up what they do not show, and an agent that is paid for
goals learns where goals are made up. But a world that recalls frames by place
(`worldmodel_env/models/recall.py`) can be given all frames of a recording, those after the moment
too: it then imagines, as far as the recording went, the maze that was recorded, while the agent has
yet to find its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.recall import SEEN
from worldmodel_env.training.budget import Clock

State = dict[str, NDArray[Any]]
"""As `TecoVectorEnv.get_state` gives it."""


@dataclass(frozen=True)
class Library:
    """K moments, ready to begin at.

    Attributes:
        state: of K rows: the world at the moment, recalling the whole recording.
        frames: (K, C, H, W, 3) uint8, the last ones up to the moment.
        actions: (K, C - 1, ...), between them.
    """

    state: State
    frames: NDArray[np.uint8]
    actions: NDArray[Any]

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def of(
        cls,
        env: Any,
        data: TrajectoryDataset,
        moments: Sequence[tuple[EpisodeRef, int]],
        context: int,
    ) -> Library:
        """Show a world the recordings, as many at once as `env` has rows.

        Args:
            env: a `TecoVectorEnv`; its episodes are lost.
            data: the data set.
            moments: K pairs of an episode and the number of a frame of it, C - 1 or more.
            context: C.

        Raises:
            InputError: the world does not recall frames by place.
        """
        env.reset(seed=0)
        if not set(SEEN) <= set(like := env.get_state()):
            raise InputError(
                f"world {env.world.name!r} does not recall frames by place, so it cannot know how "
                "a recording goes on; train it with --recall, or give --branch-hindsight 0."
            )
        count, clock = len(moments), Clock()
        state = {name: np.zeros((count, *x.shape[1:]), x.dtype) for name, x in like.items()}
        # Recordings of like length together: a wave takes as long as its longest.
        order = sorted(range(count), key=lambda i: moments[i][0].total_steps)
        for first in range(0, count, env.num_envs):
            wave = order[first : first + env.num_envs]
            _show(env, data, [moments[i] for i in wave], state, wave)
            done = first + len(wave)
            left = clock.seconds / done * (count - done)
            print(f"{done} of {count} moments prepared, {left:.0f} s left", flush=True)
        clips = [data.read(ref, at + 1 - context, at + 1) for ref, at in moments]
        return cls(
            state,
            np.stack([clip.observations for clip in clips]),
            np.stack([clip.actions for clip in clips]),
        )


def _show(
    env: Any,
    data: TrajectoryDataset,
    moments: Sequence[tuple[EpisodeRef, int]],
    state: State,
    rows: Sequence[int],
) -> None:
    """Write, for each moment, its row of `state`: of then, but with what is seen by the end."""
    clips = [data.read(ref, 0, ref.total_steps + 1) for ref, _ in moments]
    clips += [clips[0]] * (env.num_envs - len(clips))  # the world observes all its rows or none
    last = [len(clip.actions) for clip in clips]

    def at(step: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
        """Each recording's frame and the action that led to it, the last ones from its end on."""
        steps = [(clip, min(step, end)) for clip, end in zip(clips, last, strict=True)]
        frames = [clip.observations[t] for clip, t in steps]
        return np.stack(frames), np.stack([clip.actions[max(t - 1, 0)] for clip, t in steps])

    frames, actions = at(0)
    env.reset(seed=0, options={"context": (frames[:, None], actions[:, None][:, :0])})
    for step in range(max(last) + 1):
        if step:
            env.observe(*at(step))
        now = env.get_state() if step in {*last, *(t for _, t in moments)} else {}
        for i, ((_, moment), row) in enumerate(zip(moments, rows, strict=True)):
            for name in [*(now if step == moment else ()), *(SEEN if step == last[i] else ())]:
                state[name][row] = now[name][i]
    state["elapsed"][list(rows)] = 0  # the episode begins at its moment
