"""A row of `TecoVectorEnv` is an environment of its own: exact among others, equal to a single."""

import gymnasium
import numpy as np
import pytest
from nano import make_nano

from worldmodel_env.envs.episodes import BLOCK
from worldmodel_env.envs.teco_env import TecoEnv
from worldmodel_env.envs.teco_vector import TecoVectorEnv
from worldmodel_env.models.mixers.state import is_ring

N = 4


def play_row_0(world, others, **how):
    """What row 0 of four sees while the others do as they are told."""
    env = TecoVectorEnv(N, world, **how)
    rng = np.random.default_rng(others)
    env.reset(seed=[5, *(others * 10 + i for i in range(N - 1))])
    seen = []
    for t in range(25):
        if others and t % 6 == others:  # neighbours begin anew, one of them in real frames
            frames = rng.integers(0, 255, (N, 2, 32, 32, 3), dtype=np.uint8)
            mask = np.array([False, True, True, False])
            env.reset(options={"reset_mask": mask, "context": (frames, [[others]] * N)})
        actions = rng.integers(0, 3, N)
        actions[0] = t % 3
        obs, reward, terminated, _, info = env.step(actions)
        seen.append((obs[0].tobytes(), reward[0], terminated[0], info["surprise"][0]))
    state = env.get_state()
    return seen, {name: array[0] for name, array in state.items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_is_bit_exact_whatever_its_neighbours_do(precision):
    assert_row_0_is_exact(make_nano(), precision=precision)


def assert_row_0_is_exact(world, **how):
    alone, state = play_row_0(world, 0, **how)
    for others in (1, 2):
        seen, after = play_row_0(world, others, **how)
        assert seen == alone
        for name in state:
            np.testing.assert_array_equal(after[name], state[name], err_msg=name)


def ring_gap(alone, state, row):
    """Largest difference of keys and values between a single environment and a row."""
    return max(np.abs(alone[name][0] - state[name][row]).max() for name in filter(is_ring, state))


def agreement(world, *, steps, rows=3, seed=3):
    """Steps of rows beside single environments, each step from the same state.

    Returns:
        Largest difference of states, share of equal codes.
    """
    env = TecoVectorEnv(rows, world, precision="fp32")
    single = TecoEnv(world, precision="fp32")
    env.reset(seed=seed)
    rng = np.random.default_rng(0)
    state, gaps, equal = env.get_state(), [], []
    for row in range(rows):
        alone = (single.reset(seed=seed + row), single.get_state())[1]
        for name in ("start", "key", "codes", "index"):
            np.testing.assert_array_equal(alone[name][0], state[name][row])
        gaps.append(ring_gap(alone, state, row))
    for _ in range(steps):
        actions = rng.integers(0, 3, rows)
        before = state
        _, reward, terminated, _, info = env.step(actions)
        state = env.get_state()
        for row in range(rows):
            single.set_state({name: array[row : row + 1] for name, array in before.items()})
            frame, alone_reward, alone_ended, _, alone_info = single.step(int(actions[row]))
            alone = single.get_state()
            same = alone["codes"][0] == state["codes"][row]
            equal.append(same.mean())
            gaps.append(ring_gap(alone, state, row))
            if same.all():
                gaps.append(np.abs(alone["latent"][0] - state["latent"][row]).max())
                assert np.abs(frame.astype(int) - state["frame"][row]).max() <= 1
                assert alone_reward == pytest.approx(reward[row], abs=1e-4)
                assert alone_ended == terminated[row]
                assert alone_info["surprise"] == pytest.approx(info["surprise"][row], abs=1e-4)
        state["ended"][:] = False  # the episode goes on, all 300 steps of it
        env.set_state(state)
    return max(gaps), np.mean(equal)


@pytest.mark.timeout(900)
def test_rows_agree_with_single_environments():
    gap, equal = agreement(make_nano(), steps=300, rows=2)
    assert gap < 1e-4
    assert equal >= 0.999


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_rows_agree_with_single_environments_in_the_shipped_world():
    gap, equal = agreement("maze", steps=300)
    assert gap < 1e-4
    assert equal >= 0.999


def test_seeds():
    env = TecoVectorEnv(3, make_nano())
    single = TecoEnv(make_nano())
    obs, info = env.reset(seed=20)
    for row in range(3):
        frame, alone = single.reset(seed=20 + row)
        assert alone["start"] == info["start"][row]
        # The first frame is decoded from the same codes, in a batch of another size.
        assert np.abs(frame.astype(int) - obs[row]).max() <= 1
    assert env.np_random_seed == (20, 21, 22)
    np.testing.assert_array_equal(env.reset(seed=[20, 21, 22])[0], obs)
    kept = env.np_random[1].bit_generator.state
    env.reset(seed=[20, None, 5])
    assert env.np_random_seed == (20, 21, 5)
    assert env.np_random[1].bit_generator.state != kept, "it drew on"
    np.testing.assert_array_equal(env.reset(seed=20)[0], obs)


def test_rows_differ():
    env = gymnasium.make_vec("TecoMaze-v0", num_envs=6, world=make_nano())
    first, _ = env.reset(seed=0)
    later = [env.step([1] * 6)[0] for _ in range(4)][-1]
    for frames in (first, later):
        assert len({frame.tobytes() for frame in frames}) > 3


def test_beginning_in_blocks_changes_nothing():
    """More rows than begin together: alone, with neighbours or all at once, a row begins alike."""
    rows = BLOCK + 2
    env = TecoVectorEnv(rows, make_nano(), precision="fp32")
    env.reset(seed=0)
    whole = env.get_state()
    env.reset(seed=100)
    for row in (1, BLOCK - 1, BLOCK):
        mask = np.arange(rows) == row
        env.reset(seed=0, options={"reset_mask": mask})
        state = env.get_state()
        for name in whole:
            np.testing.assert_array_equal(state[name][row], whole[name][row], err_msg=name)
        assert (state["key"] == whole["key"]).sum() == 1 + sum(
            r < row for r in (1, BLOCK - 1, BLOCK)
        )
