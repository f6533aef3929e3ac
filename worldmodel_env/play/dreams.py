"""The world that all walks share: states go in and come out, none is kept."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from worldmodel_env.imagination.world import World
from worldmodel_env.play.scene import Frame, Sight, Tuning

_MOST_ENVIRONMENTS = 4
"""Each sampling that is in use has a model of its own."""


@dataclass(frozen=True)
class Dream:
    """One moment as the world imagines it.

    Attributes:
        state: all that its future depends on, as `TecoEnv.get_state` gives it.
        frame: (H, W, 3) uint8.
        reward: expected, of the transition that led here.
        ended: the episode is over.
        surprise: nats; None if the frame was not imagined.
        tuning: how it was sampled; likewise.
        seconds: that it took.
        start: index of the start that the episode began with; -1 if with a frame.
    """

    state: Mapping[str, NDArray]
    frame: Frame
    reward: float
    ended: bool
    surprise: float | None
    tuning: Tuning | None
    seconds: float
    start: int


class Dreams:
    """Imagines for any number of walks, one call at a time.

    Attributes:
        world: what is imagined.
        tuning: the world's own.
    """

    def __init__(self, world: World, *, threads: int = 1) -> None:
        """Prepare the world; `threads` are those of a step."""
        self.world = world
        own = world.config.sampling
        self.tuning = Tuning(own.steps, own.temperature)
        self._threads = threads
        self._environments: OrderedDict[Tuning, Any] = OrderedDict()
        self._thumbnails: dict[int, Frame] = {}
        self._environment(self.tuning)

    def begin(self, tuning: Tuning, seed: int, *, start: int | None = None) -> Dream:
        """An episode's first moment, at one of the world's starts or at any."""
        return self._begin(tuning, seed, {} if start is None else {"start": start})

    def begin_with(self, tuning: Tuning, seed: int, frame: Frame) -> Dream:
        """An episode's first moment, which is a frame of the simulator's."""
        return self._begin(tuning, seed, {"context": (frame[None], ())})

    def step(self, state: Mapping[str, NDArray], action: int, tuning: Tuning) -> Dream:
        """Imagine what `action` leads to."""
        began = time.perf_counter()
        env = self._environment(tuning)
        env.set_state(state)
        frame, reward, ended, _, info = env.step(np.int64(action))
        seconds = time.perf_counter() - began
        return Dream(
            state=env.get_state(),
            frame=frame,
            reward=float(reward),
            ended=bool(ended),
            surprise=float(info["surprise"]),
            tuning=tuning,
            seconds=seconds,
            start=int(info["start"]),
        )

    def watch(self, state: Mapping[str, NDArray], action: int, sight: Sight) -> Dream:
        """Take in what `action` led to in the simulator, instead of imagining it."""
        began = time.perf_counter()
        env = self._environment(self.tuning)
        env.set_state(state)
        env.observe(sight.frame, np.int64(action))
        seconds = time.perf_counter() - began
        return self._shown(env, sight.frame, seconds, sight.reward, sight.ended)

    def prepare(self, tuning: Tuning) -> None:
        """Make ready to sample so; InputError if the world cannot."""
        self._environment(tuning)

    def thumbnail(self, start: int) -> Frame:
        """The frame that a start shows."""
        if start not in self._thumbnails:
            self._thumbnails[start] = self.begin(self.tuning, 0, start=start).frame
        return self._thumbnails[start]

    def _begin(self, tuning: Tuning, seed: int, options: dict[str, Any]) -> Dream:
        began = time.perf_counter()
        env = self._environment(tuning)
        frame, info = env.reset(seed=seed, options=options)
        return self._shown(env, frame, time.perf_counter() - began, start=int(info["start"]))

    @staticmethod
    def _shown(
        env: Any,
        frame: Frame,
        seconds: float,
        reward: float = 0.0,
        ended: bool = False,
        start: int = -1,
    ) -> Dream:
        return Dream(env.get_state(), frame, reward, ended, None, None, seconds, start)

    def _environment(self, tuning: Tuning) -> Any:
        if tuning in self._environments:
            self._environments.move_to_end(tuning)
            return self._environments[tuning]
        env = gymnasium.make(
            "worldmodel_env:TecoMaze-v0",
            world=self.world,
            # Faster backends compile for each sampling first, which a person changes all the time.
            backend="torch",
            threads=self._threads,
            sampling={"steps": tuning.steps, "temperature": tuning.temperature},
        ).unwrapped
        self._environments[tuning] = env
        if len(self._environments) > _MOST_ENVIRONMENTS:
            self._environments.popitem(last=False)[1].close()
        return env
