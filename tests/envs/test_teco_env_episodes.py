"""Episodes of `TecoMaze-v0`: how they begin, go on, and repeat."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from gymnasium.error import InvalidAction
from nano import make_nano
from torch.utils._python_dispatch import TorchDispatchMode

from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.state import is_ring

ROLLOUT = """
import hashlib, sys
import gymnasium
import worldmodel_env

def rollout(world):
    env = gymnasium.make("TecoMaze-v0", world=world, precision="fp32")
    digest = hashlib.sha256(env.reset(seed=11)[0].tobytes())
    for t in range(25):
        frame, reward, terminated, _, info = env.step(t % 3)
        digest.update(frame.tobytes() + repr((reward, terminated, sorted(info.items()))).encode())
    digest.update(env.reset()[0].tobytes())
    envs = gymnasium.make_vec("TecoMaze-v0", num_envs=3, world=world, max_episode_steps=5)
    digest.update(envs.reset(seed=11)[0].tobytes())
    for t in range(12):
        frames, rewards, terminated, truncated, info = envs.step([t % 3] * 3)
        digest.update(frames.tobytes() + rewards.tobytes() + info["start"].tobytes())
    digest.update(envs.fork(2, fresh_noise=True).step([0] * 6)[0].tobytes())
    return digest.hexdigest()
"""


def frames_of(env, seed, actions):
    frames = [env.reset(seed=seed)[0]]
    return np.stack(frames + [env.step(a)[0] for a in actions])


def test_same_seed_same_episode_in_any_process(nano_world):
    scope = {}
    exec(ROLLOUT, scope)
    here = scope["rollout"](str(nano_world))
    command = [sys.executable, "-c", ROLLOUT + "print(rollout(sys.argv[1]))", str(nano_world)]
    there = subprocess.run(command, capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


def test_other_seeds_other_episodes(nano_env):
    actions = [0, 1, 2, 2, 2]
    seen = {hashlib.sha256(frames_of(nano_env, s, actions)).hexdigest() for s in range(5)}
    assert len(seen) == 5


def test_actions_matter(nano_env):
    left, right = (frames_of(nano_env, 0, [a] * 4) for a in (0, 1))
    np.testing.assert_array_equal(left[0], right[0])
    assert (left[1:] != right[1:]).any((1, 2, 3)).all()


def test_starts_are_decoded_first_frames(nano_env, nano_world):
    world = World.load(nano_world)
    decoded = world.imagination().vqgan.decode(torch.from_numpy(world.starts.astype(np.int64)))
    for index in (0, 7, len(world.starts) - 1):
        frame, info = nano_env.reset(seed=1, options={"start": index})
        assert info["start"] == index
        np.testing.assert_array_equal(frame, decoded[index].numpy())


def test_every_start_is_drawn(nano_env):
    nano_env.reset(seed=0)
    drawn = [int(nano_env.reset()[1]["start"]) for _ in range(120)]
    assert set(drawn) == set(range(12))


def test_choosing_the_start_leaves_the_noise(nano_env):
    _, info = nano_env.reset(seed=5)
    free = [nano_env.step(1)[0] for _ in range(3)]
    nano_env.reset(seed=5, options={"start": int(info["start"])})
    np.testing.assert_array_equal(free, [nano_env.step(1)[0] for _ in range(3)])


def test_context_equals_observing(nano_env):
    """Beginning with real frames leads where observing them one by one leads."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (9, 32, 32, 3), dtype=np.uint8)
    actions = rng.integers(0, 3, 8)
    bare = nano_env.unwrapped
    frame, info = bare.reset(seed=2, options={"context": (frames, actions)})
    np.testing.assert_array_equal(frame, frames[-1])
    assert (info["start"], info["elapsed_steps"]) == (-1, 0)
    given = [bare.step(2)[0] for _ in range(3)]

    bare.reset(seed=2, options={"context": (frames[:1], actions[:0])})
    for observed, action in zip(frames[1:], actions, strict=True):
        bare.observe(observed, action)
    np.testing.assert_array_equal(bare.render()[3::6, 3::6], frames[-1])
    stepped = [bare.step(2) for _ in range(3)]
    np.testing.assert_array_equal(given, [s[0] for s in stepped])
    assert stepped[-1][4]["elapsed_steps"] == 11


def test_context_matters(nano_env):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (2, 4, 32, 32, 3), dtype=np.uint8)
    frames[1, -1] = frames[0, -1]
    after = []
    for clip in frames:
        nano_env.reset(seed=2, options={"context": (clip, [0, 1, 2])})
        after.append(nano_env.step(2)[0])
    assert (after[0] != after[1]).any()


FRAME = np.zeros((32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strat": 3}, "'strat'.*'start', 'context'"),
        ({"start": 12}, "12.*0 to 11"),
        ({"start": -1}, "-1.*0 to 11"),
        ({"start": 1.0}, "1.0.*int"),
        ({"start": 0, "context": ([FRAME], [])}, "'start' and 'context'; give one"),
        ({"context": FRAME}, r"give \(frames, actions\)"),
        ({"context": (np.zeros((0, 32, 32, 3), np.uint8), [])}, "1 or more"),
        ({"context": (FRAME, [])}, r"\(32, 32, 3\), expected uint8 \(C, 32, 32, 3\)"),
        ({"context": ([FRAME / 255.0], [])}, "float64"),
        ({"context": ([FRAME[:16]], [])}, r"\(1, 16, 32, 3\)"),
        ({"context": ([FRAME, FRAME], [0, 1])}, r"\(2,\), expected \(1,\)"),
        ({"context": ([FRAME, FRAME], [3])}, "action 0 .* not in Discrete"),
        ({"context": ([FRAME, FRAME], [0.5])}, "float64.* not in Discrete"),
    ],
)
def test_bad_options_change_nothing(nano_env, options, words):
    bare = nano_env.unwrapped
    frame, _ = bare.reset(seed=4)
    generator = bare.np_random.bit_generator.state
    with pytest.raises(InputError, match=words):
        bare.reset(seed=9, options=options)
    assert bare.np_random.bit_generator.state == generator
    np.testing.assert_array_equal(bare.render()[3::6, 3::6], frame)


def test_bad_observations(nano_env):
    bare = nano_env.unwrapped
    bare.reset(seed=0)
    with pytest.raises(InputError, match="float64"):
        bare.observe(FRAME / 255.0, 0)
    with pytest.raises(InputError, match=r"\(16, 32, 3\)"):
        bare.observe(FRAME[:16], 0)
    with pytest.raises(InvalidAction, match="7"):
        bare.observe(FRAME, 7)


def test_observing_in_bfloat16(nano_world):
    env = TecoEnv(nano_world, precision="bf16")
    env.reset(seed=0, options={"context": ([FRAME, FRAME], [0])})
    env.observe(FRAME, 1)
    assert env.step(1)[0] in env.observation_space


class Operations(TorchDispatchMode):
    """Every operation torch runs, with the shapes it runs on: what a step costs, exactly."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        shapes = [tuple(a.shape) for a in args if hasattr(a, "shape")]
        self.seen.append((str(func), shapes))
        return func(*args, **(kwargs or {}))


def test_a_step_costs_the_same_however_late(nano_env):
    bare = nano_env.unwrapped
    bare.reset(seed=0)
    costs, sizes = [], []
    for t in range(20):  # more than three windows
        with Operations() as operations:
            bare.step(t % 3)
        costs.append(operations.seen)
        sizes.append({k: v.shape for k, v in bare.get_state().items()})
    assert len(costs[0]) > 100
    assert all(cost == costs[0] for cost in costs)
    assert all(size == sizes[0] for size in sizes)


def test_roll_out_far_beyond_the_window(nano_env):
    bare = nano_env.unwrapped
    steps = 20 * bare.world.config.teco.temporal.window
    bare.reset(seed=0)
    frames = []
    for t in range(steps):
        frame, reward, _, _, info = bare.step(t % 3)
        assert frame in bare.observation_space
        assert np.isfinite(reward)
        assert np.isfinite(info["surprise"])
        frames.append(frame)
    assert len({f.tobytes() for f in frames[-30:]}) == 30
    assert all(np.isfinite(v).all() for v in bare.get_state().values())


def test_old_frames_are_forgotten_beyond_the_window():
    """Two pasts that differ only in a frame out of every layer's reach give one future."""
    world = make_nano()
    config = world.config.teco.temporal
    # One more than the layers' windows add up to: a latent also shows the frame before its own.
    reach = config.layers * config.window + 1
    rng = np.random.default_rng(0)
    backend = TorchBackend(world, precision="fp32")
    pasts = []
    frames = rng.integers(0, 255, (reach + 2, 32, 32, 3), dtype=np.uint8)
    for first in frames[:2]:
        state = backend.begin(backend.encode(first[None]))
        for frame in frames[2:]:
            state = backend.observe(state, frame[None], np.array([1]))
        pasts.append(state)
    for name in filter(is_ring, pasts[0]):
        np.testing.assert_allclose(*(past[name].numpy() for past in pasts), atol=1e-5)
