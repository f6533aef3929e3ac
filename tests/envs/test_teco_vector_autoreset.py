"""The three autoreset modes are Gymnasium's: the same as SyncVectorEnv over single environments."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

N = 5
MODES = list(AutoresetMode)


def native(world, mode, rows=N, **kwargs):
    return gymnasium.make_vec(
        "TecoMaze-v0",
        num_envs=rows,
        world=world,
        autoreset_mode=mode,
        max_episode_steps=8,
        **kwargs,
    )


def looped(world, mode, rows=N, **kwargs):
    def make():
        return gymnasium.make("TecoMaze-v0", world=world, max_episode_steps=8, **kwargs)

    return SyncVectorEnv([make] * rows, autoreset_mode=mode)


def assert_same(got, expected, where=""):
    """Equal to the last bit, in the same types and the same layout."""
    assert type(got) is type(expected), where
    if isinstance(expected, dict):
        assert set(got) == set(expected), where
        for key, value in expected.items():
            assert_same(got[key], value, f"{where}.{key}")
    elif isinstance(expected, tuple):
        for index, (a, b) in enumerate(zip(got, expected, strict=True)):
            assert_same(a, b, f"{where}[{index}]")
    elif isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape), where
        if expected.dtype == object:
            assert_same(tuple(got), tuple(expected), where)
        else:
            np.testing.assert_array_equal(got, expected, err_msg=where)
    else:
        assert got == expected, where


def play_both(ours, theirs, mode, steps):
    """Step both alike and compare all they return; yields what it was."""
    assert_same(ours.reset(seed=7), theirs.reset(seed=7), "reset")
    rng = np.random.default_rng(0)
    for t in range(steps):
        actions = rng.integers(0, 3, ours.num_envs)
        ending, expected = ours.step(actions), theirs.step(actions)
        assert_same(ending, expected, f"step {t}")
        yield ending
        done = ending[2] | ending[3]
        if mode is AutoresetMode.DISABLED and done.any():
            # Sync takes the mask out of the dict that it is given.
            masks = [{"reset_mask": done.copy()} for _ in range(2)]
            again = ours.reset(options=masks[0])
            assert_same(again, theirs.reset(options=masks[1]), f"reset after {t}")
            assert list(masks[0]) == ["reset_mask"]


@pytest.mark.parametrize("mode", MODES)
def test_modes_are_gymnasiums(toy_world, mode):
    steps = list(play_both(native(toy_world, mode), looped(toy_world, mode), mode, 60))
    terminated, truncated = (np.stack([s[i] for s in steps]) for i in (2, 3))
    assert terminated.sum() > 10
    assert truncated.sum() > 10
    assert (terminated & truncated).any()
    assert not (terminated | truncated).all(1).any(), "rows ended by themselves, not together"


@pytest.mark.parametrize("mode", MODES)
def test_modes_in_an_imagined_world(nano_world, mode):
    """One row, of which the model's numbers are those of a single environment to the bit."""
    how = {"world": str(nano_world), "precision": "fp32", "mode": mode, "rows": 1}
    assert len(list(play_both(native(**how), looped(**how), mode, 25))) == 25


def test_next_step_ignores_the_actions_of_ended_rows(toy_world):
    results = []
    for junk in (0, 2, -7):
        env = native(toy_world, AutoresetMode.NEXT_STEP)
        env.reset(seed=7)
        ended, seen = np.zeros(N, bool), []
        for _ in range(30):
            obs, reward, terminated, truncated, _ = env.step(np.where(ended, junk, 1))
            assert not reward[ended].any()
            assert not (terminated | truncated)[ended].any()
            ended = terminated | truncated
            seen.append(obs)
        results.append(np.stack(seen))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("mode", MODES)
def test_a_reset_replaces_its_rows_only(nano_world, mode):
    """With a real model: rows that are not reset go on to the bit as if nothing had happened."""
    outcomes = []
    for mask in (None, np.array([False, True, False])):
        env = native(str(nano_world), mode, 3, precision="fp32")
        env.reset(seed=1)
        env.step(np.array([0, 1, 2]))
        before = env.get_state()
        if mask is not None:
            obs, info = env.reset(seed=[None, 33, 44], options={"reset_mask": mask})
            assert info["_elapsed_steps"].tolist() == mask.tolist()
            after = env.get_state()
            for name in before:
                np.testing.assert_array_equal(before[name][~mask], after[name][~mask], name)
            single = gymnasium.make("TecoMaze-v0", world=str(nano_world), precision="fp32")
            start = single.reset(seed=33)[1]["start"]
            assert (info["start"][1], info["elapsed_steps"][1]) == (start, 0)
            np.testing.assert_array_equal(obs[~mask], before["frame"][~mask])
        obs, reward, *_ = env.step(np.array([2, 2, 2]))
        outcomes.append((obs[[0, 2]], reward[[0, 2]]))
    np.testing.assert_array_equal(outcomes[0][0], outcomes[1][0])
    np.testing.assert_array_equal(outcomes[0][1], outcomes[1][1])


def test_disabled_refuses_to_step_what_has_ended(toy_world):
    env = native(toy_world, AutoresetMode.DISABLED)
    env.reset(seed=0)
    done = np.zeros(N, bool)
    while not done.any():
        _, _, terminated, truncated, _ = env.step([0] * N)
        done = terminated | truncated
    with pytest.raises(ResetNeeded, match=str([int(i) for i in np.flatnonzero(done)])[1:-1]):
        env.step([0] * N)
    env.reset(options={"reset_mask": done})
    env.step([0] * N)


def test_without_a_limit_nothing_is_truncated(toy_world):
    for limit in (None, -1):
        env = gymnasium.make_vec(
            "TecoMaze-v0", num_envs=2, world=toy_world, max_episode_steps=limit
        )
        env.reset(seed=0)
        assert not any(env.step([0, 1])[3].any() for _ in range(400))


def test_the_limit_is_the_ids_own(toy_world):
    env = gymnasium.make_vec("TecoMaze-v0", num_envs=2, world=toy_world)
    assert (env.max_episode_steps, env.spec.max_episode_steps) == (300, 300)
