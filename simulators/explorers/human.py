"""A person at the keyboard."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from gymnasium import spaces

from simulators.frames import meanings
from worldmodel_env.errors import InputError

_SIDE = 512
"""Of the window, in pixels."""
_WORDS = {"left": "turn left", "right": "turn right", "up": "forward", "down": "back"}
"""What the arrow keys look for in the names of actions, by whole name or last word."""
_SECONDS = 1 / 15
"""Between two actions while a key is held."""


class Human:
    """Shows the frames in a window and waits for keys: arrows, or the action's number.

    The space bar takes action 0, and closing the window or Escape ends the recording (the episode
    in progress is not kept). What a person plays cannot be played again from its seed.
    """

    def __init__(self) -> None:
        """Needs pygame; the window is opened by the first episode."""
        try:
            import pygame
        except ImportError as error:
            raise InputError(
                'The policy "human" needs pygame: pip install "worldmodel-env[human]".'
            ) from error
        self._pygame = pygame
        self._window: Any = None

    def reset(self, env: Any, seed: int) -> None:
        """Begins an episode; InputError for an action space that keys cannot serve."""
        if not isinstance(env.action_space, spaces.Discrete):
            raise InputError(
                f'The policy "human" needs Discrete actions, not {env.action_space}; '
                "use another action set."
            )
        names = tuple(getattr(env.unwrapped, "action_meanings", ()))
        if not names and hasattr(env.unwrapped, "maze"):
            names = ("turn left", "turn right", "forward")
        count, start = int(env.action_space.n), int(env.action_space.start)
        self._keys = _keys(self._pygame, names, count, start)
        if self._window is None:
            self._pygame.init()
            self._window = self._pygame.display.set_mode((_SIDE, _SIDE))
        title = meanings(names) if names else f"keys 0 to {count - 1}"
        self._pygame.display.set_caption(f"seed {seed}: {title}")

    def act(self, env: Any, obs: Any, info: dict[str, Any]) -> int:
        """The action of the key that is pressed, waiting for one."""
        pygame = self._pygame
        picture = pygame.surfarray.make_surface(np.swapaxes(obs, 0, 1))
        self._window.blit(pygame.transform.scale(picture, (_SIDE, _SIDE)), (0, 0))
        pygame.display.flip()
        time.sleep(_SECONDS)
        while True:
            for event in pygame.event.get():
                if event.type == pygame.QUIT or (
                    event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
                ):
                    raise KeyboardInterrupt
                if event.type == pygame.KEYDOWN and event.key in self._keys:
                    return self._keys[event.key]
            held = pygame.key.get_pressed()
            for key, action in self._keys.items():
                if held[key]:
                    return action
            time.sleep(0.01)


def _keys(pygame: Any, names: tuple[str, ...], count: int, start: int) -> dict[int, int]:
    keys = {pygame.K_SPACE: start}
    for number in range(min(count, 10)):
        keys[getattr(pygame, f"K_{number}")] = start + number
    for arrow, meaning in _WORDS.items():
        exact = [number for number, name in enumerate(names) if name in (meaning, f"look {arrow}")]
        loose = [number for number, name in enumerate(names) if name.endswith(meaning.split()[-1])]
        if exact or loose:
            keys[getattr(pygame, f"K_{arrow.upper()}")] = start + (exact or loose)[0]
    return keys
