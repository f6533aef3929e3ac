"""A toy simulator that fails on demand, for tests of those who must survive it."""

import os
import signal
import time
from pathlib import Path

import gymnasium
import toy_env

ID = "faulty_env:Faulty-v0"


class FaultyEnv(toy_env.ToyEnv):
    """Fails in the episode of `seed`, after some steps.

    Args:
        fault: "crash" kills the process, "hang" sleeps, "raise" raises, "" does nothing.
        seed: whose episode it happens in; -1 for every one.
        marker: the file that is made when it happens; it does not happen again where it is.
        delay: seconds that a step takes.
        chatter: whether it prints, as engines do, straight to descriptor 1.
    """

    def __init__(
        self, fault: str = "", seed: int = -2, marker: str = "", delay: float = 0.0,
        chatter: bool = False, render_mode: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(render_mode=render_mode)
        self.fault, self.seed, self.delay, self.chatter = fault, seed, delay, chatter
        self.marker = Path(marker) if marker else None

    def reset(self, *, seed=None, options=None):
        self.due = 5 if self.seed in (seed, -1) else -1
        if self.chatter:
            os.write(1, b"loading the level\n")
            print("{}", flush=True)
        return super().reset(seed=seed, options=options)

    def step(self, action):
        time.sleep(self.delay)
        self.due -= 1
        if self.due == 0 and not (self.marker and self.marker.exists()):
            if self.marker:
                self.marker.touch()
            print("something is wrong with the engine", flush=True)
            if self.fault == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            elif self.fault == "hang":
                time.sleep(3600)
            elif self.fault == "raise":
                raise RuntimeError("the engine gave no frame")
        return super().step(action)


gymnasium.register("Faulty-v0", entry_point=FaultyEnv, max_episode_steps=40)
