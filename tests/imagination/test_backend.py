"""The torch backend and its noise."""

import numpy as np
import pytest
import torch
from nano import make_nano

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.noise import uniform
from worldmodel_env.imagination.step import Sampling
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.models.mixers.state import is_ring

ROWS = 5


@pytest.fixture(scope="module")
def world():
    return make_nano()


@pytest.fixture(scope="module")
def backend(world):
    return TorchBackend(world, precision="fp32")


def row(state, i):
    return {k: v[i : i + 1] for k, v in state.items()}


def test_batch_rows_equal_single_runs(world, backend):
    """Teacher-forced: each step of the batch from the same state as the single one."""
    keys = torch.tensor([5, 6, 7, (1 << 62) + 1, 5])
    state = backend.begin(world.starts[[0, 1, 2, 3, 0]])
    rng = np.random.default_rng(0)
    for _ in range(20):
        action = rng.integers(0, 3, ROWS)
        action[4] = action[0]
        following, imagined = backend.step(state, action, keys)
        for i in range(ROWS):
            single, alone = backend.step(row(state, i), action[i : i + 1], keys[i : i + 1])
            for name in [*filter(is_ring, state), "latent"]:
                torch.testing.assert_close(single[name][0], following[name][i], atol=1e-4, rtol=0)
            assert torch.equal(single["codes"][0], following["codes"][i])
            torch.testing.assert_close(alone.reward[0], imagined.reward[i], atol=1e-4, rtol=0)
            difference = alone.frame[0].int() - imagined.frame[i].int()
            assert difference.abs().max() <= 1
        # Rows 0 and 4 began alike and share key and actions.
        assert all(torch.equal(following[k][0], following[k][4]) for k in following)
        assert not torch.equal(imagined.frame[0], imagined.frame[1])
        state = following


def test_a_row_is_bit_exact_whatever_its_neighbours(world, backend):
    outcomes = []
    for others in (1, 2):
        keys = torch.tensor([9] + [others] * (ROWS - 1))
        state = backend.begin(world.starts[[3] + [others] * (ROWS - 1)])
        for t in range(8):
            action = np.array([t % 3] + [others] * (ROWS - 1))
            state, imagined = backend.step(state, action, keys)
        outcomes.append((row(state, 0), imagined.frame[0], imagined.reward[0]))
    (state_1, frame_1, reward_1), (state_2, frame_2, reward_2) = outcomes
    assert all(torch.equal(state_1[k], state_2[k]) for k in state_1)
    assert torch.equal(frame_1, frame_2)
    assert reward_1 == reward_2


def test_rows_of_different_age(world, backend):
    """A fresh row beside an old one steps as it would alone: time is per row."""
    old = backend.begin(world.starts[:1])
    key = torch.tensor([1])
    for _ in range(10):
        old, _ = backend.step(old, np.array([1]), key)
    new = backend.begin(world.starts[1:2])
    both, _ = backend.step(
        {k: torch.cat([old[k], new[k]]) for k in old}, np.array([2, 2]), torch.tensor([1, 1])
    )
    for i, alone in enumerate((old, new)):
        single, _ = backend.step(alone, np.array([2]), key)
        torch.testing.assert_close(row(both, i), single, atol=1e-4, rtol=0)


def test_precision_choices(world):
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        backend = TorchBackend(world, precision=precision)
        state = backend.begin(world.starts[:1])
        state, imagined = backend.step(state, np.array([0]), torch.tensor([0]))
        assert {state[name].dtype for name in [*filter(is_ring, state), "latent"]} == {dtype}
        assert (imagined.reward.dtype, imagined.termination.dtype) == (torch.float32,) * 2
    assert TorchBackend(world, precision="auto").dtype in (torch.float32, torch.bfloat16)
    with pytest.raises(InputError, match="'int8'"):
        TorchBackend(world, precision="int8")


def test_threads_are_set_inside_and_restored_outside(world):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        backend = TorchBackend(world, threads=2)
        inside = []
        backend.model.teco.decoder.register_forward_pre_hook(
            lambda *_: inside.append(torch.get_num_threads())
        )
        backend.step(backend.begin(world.starts[:1]), np.array([0]), torch.tensor([0]))
        assert inside == [2]
        assert torch.get_num_threads() == 3
        with pytest.raises(IndexError):
            backend.step(backend.begin(world.starts[:1]), np.array([7]), torch.tensor([0]))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_encode_and_decode(world, backend):
    frames = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), dtype=np.uint8)
    frames.setflags(write=False)
    codes = backend.encode(frames)
    assert (codes.shape, codes.dtype) == ((3, 8, 8), np.int64)
    shown = backend.decode(backend.begin(codes))
    assert (shown.shape, shown.dtype) == ((3, 32, 32, 3), torch.uint8)


def test_sampling_differs_and_zero_temperature_ignores_noise(world):
    def codes(sampling, key):
        backend = TorchBackend(world, precision="fp32", sampling=sampling)
        state = backend.begin(world.starts[:1])
        for _ in range(3):
            state, _ = backend.step(state, np.array([1]), torch.tensor([key]))
        return state["codes"]

    for sampling in (Sampling(0, 1.0), Sampling(3, 0.0)):
        assert torch.equal(codes(sampling, 1), codes(sampling, 2))
    assert not torch.equal(codes(Sampling(3, 1.0), 1), codes(Sampling(3, 1.0), 2))
    assert not torch.equal(codes(Sampling(0, 1.0), 1), codes(Sampling(3, 0.0), 1))


def test_noise_known_values():
    """The same on every machine and backend, for ever: snapshots rely on it."""
    key = torch.tensor([0, 1, 2**63 - 1])
    drawn = uniform(key, torch.tensor([0, 5, 299]), 4)
    assert (drawn.double() * 2**24).tolist() == [
        [878983, 6520107, 4421553, 5798273],
        [9642861, 7219003, 16203429, 4332001],
        [8561663, 7217695, 2017737, 11244853],
    ]


def test_noise_is_uniform_and_never_0_or_1():
    drawn = uniform(torch.arange(200) * 7919, torch.arange(200) % 13, 2000).double()
    assert drawn.dtype == torch.float64
    assert 0 < drawn.min() < 1e-5
    assert 1 - 1e-5 < drawn.max() < 1
    n = drawn.numel()
    assert drawn.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / n) ** 0.5)
    assert drawn.var() == pytest.approx(1 / 12, abs=4 * (1 / 180 / n) ** 0.5)
    histogram = torch.histc(drawn, 100, 0, 1)
    chi2 = ((histogram - n / 100) ** 2 / (n / 100)).sum()
    assert chi2 < 99 + 4 * (2 * 99) ** 0.5


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].abs()


@pytest.mark.parametrize(
    ("key", "step"),
    [((0, 1), (3, 3)), ((0, 1 << 32), (3, 3)), ((5, 5 ^ 1 << 62), (0, 0)), ((8, 8), (3, 4)),
     ((8, 9), (9, 8))],
)  # fmt: skip
def test_noise_of_other_keys_and_steps_is_independent(key, step):
    n = 40_000
    a, b = uniform(torch.tensor(key), torch.tensor(step), n)[:, None]
    assert (a == b).sum() <= 3
    assert correlation(a, b) < 4 / n**0.5
    assert correlation(a[:, 1:], b[:, :-1]) < 4 / n**0.5


def test_noise_at_one_position_is_independent_along_a_roll_out():
    n = 40_000
    steps = torch.arange(n)
    drawn = uniform(torch.full_like(steps, 31), steps, 3)
    for lag in (1, 2, 7):
        assert correlation(drawn[lag:, 0], drawn[:-lag, 0]) < 4 / n**0.5
    assert correlation(drawn[:, 0], drawn[:, 1]) < 4 / n**0.5


def test_noise_of_a_row_ignores_the_others():
    both = uniform(torch.tensor([3, 4]), torch.tensor([1, 2]), 10)
    assert torch.equal(both[1:], uniform(torch.tensor([4]), torch.tensor([2]), 10))
    assert torch.equal(both[:, :4], uniform(torch.tensor([3, 4]), torch.tensor([1, 2]), 4))
