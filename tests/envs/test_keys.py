"""Keys, windows and `gymnasium.utils.play`, on a display that nobody sees."""

import os
import subprocess
import sys

import gymnasium
import pytest
from gymnasium import spaces
from nano import make_nano

from worldmodel_env.envs.keys import keys_to_action
from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.errors import InputError

MAZE = ["turn left", "turn right", "forward"]
W, A, S, D = map(ord, "wasd")


def test_maze_keys_are_wasd_and_arrows():
    import pygame

    keys = keys_to_action(spaces.Discrete(3), MAZE)
    assert {k: a for k, a in keys.items() if len(k) == 1} == {
        (A,): 0, (D,): 1, (W,): 2,
        (pygame.K_LEFT,): 0, (pygame.K_RIGHT,): 1, (pygame.K_UP,): 2,
    }  # fmt: skip
    # Who walks ahead steers.
    assert (keys[A, W], keys[D, W]) == (0, 1)
    assert keys[tuple(sorted((pygame.K_UP, pygame.K_LEFT)))] == 0


def test_actions_may_begin_elsewhere_and_have_no_key():
    keys = keys_to_action(spaces.Discrete(5, start=10), ["stop", "forward", *MAZE[:2], "backward"])
    assert (keys[W,], keys[A,], keys[D,], keys[S,]) == (11, 12, 13, 14)
    assert 10 not in keys.values()
    assert keys[tuple(sorted((A, S)))] == 12


@pytest.mark.parametrize(
    ("space", "meanings"),
    [
        (spaces.Discrete(3), None),
        (spaces.Discrete(4), MAZE),
        (spaces.MultiDiscrete([3]), MAZE),
        (spaces.Box(0, 1, (3,)), MAZE),
    ],
)
def test_unknown_meanings(space, meanings):
    with pytest.raises(InputError, match="action_meanings"):
        keys_to_action(space, meanings)


def test_the_maze_knows_its_keys_and_other_worlds_are_told():
    world = make_nano()
    env = gymnasium.make("TecoMaze-v0", world=world)
    assert env.get_wrapper_attr("get_keys_to_action")()[W,] == 2
    assert gymnasium.make_vec("TecoMaze-v0", world=world).get_keys_to_action()[A,] == 0
    told = gymnasium.make("TecoDMLab-v0", world=world, action_meanings=MAZE[::-1])
    assert told.get_wrapper_attr("get_keys_to_action")()[W,] == 0
    with pytest.raises(InputError, match="keys_to_action= to gymnasium"):
        TecoEnv(world).get_keys_to_action()


PLAY = """
import sys
import gymnasium, pygame
import worldmodel_env
from gymnasium.utils.play import play

env = gymnasium.make("TecoMaze-v0", world=sys.argv[1], render_mode="rgb_array")
script = [(pygame.KEYDOWN, pygame.K_UP), (pygame.KEYUP, pygame.K_UP), (pygame.KEYDOWN, pygame.K_d)]
actions = []

def press(*transition):
    actions.append(int(transition[2]))
    if script:
        kind, key = script.pop(0)
        pygame.event.post(pygame.event.Event(kind, key=key))
    elif len(actions) > 6:
        pygame.event.post(pygame.event.Event(pygame.QUIT))

play(env, callback=press, fps=1000, seed=0)
print(actions)
"""

WINDOW = """
import sys
import gymnasium, pygame
import worldmodel_env

env = gymnasium.make("TecoMaze-v0", world=sys.argv[1], render_mode="human")
assert env.render_mode == "human"
env.reset(seed=0)
env.step(2)
picture = pygame.surfarray.array3d(pygame.display.get_surface())
print(picture.shape, len(set(picture[:, :, 0].flatten().tolist())) > 10)
env.close()
"""


def headless(script, world):
    out = subprocess.run(
        [sys.executable, "-c", script, str(world)],
        capture_output=True,
        text=True,
        env={**os.environ, "SDL_VIDEODRIVER": "dummy", "MPLBACKEND": "Agg"},
    )
    assert out.returncode == 0, out.stderr
    return out.stdout.splitlines()[-1]


def test_gymnasium_plays_it(nano_world):
    # Without a key it takes action 0, with the upper arrow 2, with D 1.
    assert headless(PLAY, nano_world) == "[0, 2, 0, 1, 1, 1, 1]"


def test_a_window_for_people(nano_world):
    assert headless(WINDOW, nano_world) == "(192, 192, 3) True"
