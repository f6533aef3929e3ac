import os

import gymnasium
import numpy as np
import pytest
import toy_env

import simulators  # noqa: F401
from simulators import explorers
from worldmodel_env.errors import InputError

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
pygame = pytest.importorskip("pygame")


class Named(gymnasium.Env):
    action_space = gymnasium.spaces.Discrete(4)
    action_meanings = ("nothing", "turn left", "turn right", "move forward")


@pytest.fixture
def human():
    policy = explorers.make("human")
    yield policy
    pygame.quit()


def press(policy, env, key):
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))
    return policy.act(env, np.zeros((16, 16, 3), np.uint8), {})


def test_keys_become_actions(human):
    env = Named()
    human.reset(env, 0)
    for key, action in (
        (pygame.K_LEFT, 1), (pygame.K_RIGHT, 2), (pygame.K_UP, 3), (pygame.K_SPACE, 0),
        (pygame.K_2, 2),
    ):  # fmt: skip
        assert press(human, env, key) == action
    assert "turn left" in pygame.display.get_caption()[0]


def test_keys_of_no_action_are_waited_out(human):
    env = Named()
    human.reset(env, 0)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_9))
    assert press(human, env, pygame.K_1) == 1


def test_escape_and_the_windows_cross_interrupt(human):
    env = Named()
    human.reset(env, 0)
    with pytest.raises(KeyboardInterrupt):
        press(human, env, pygame.K_ESCAPE)
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    with pytest.raises(KeyboardInterrupt):
        human.act(env, np.zeros((16, 16, 3), np.uint8), {})


def test_frames_are_shown(human):
    env = Named()
    human.reset(env, 0)
    frame = np.zeros((16, 16, 3), np.uint8)
    frame[:8] = (250, 0, 0)
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_1))
    human.act(env, frame, {})
    window = pygame.display.get_surface()
    assert window.get_at((300, 100))[:3] == (250, 0, 0)
    assert window.get_at((300, 400))[:3] == (0, 0, 0)


def test_other_action_spaces_are_refused(human):
    with pytest.raises(InputError, match="needs Discrete actions"):
        human.reset(gymnasium.make(toy_env.ID, action="box"), 0)
