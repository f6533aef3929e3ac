"""Exported graphs as a backend: the same imagination as torch's, for one number of rows."""

import copy

import numpy as np
import pytest
import torch

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.backend import open_backend
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.state import is_ring

ROWS = 4
WINDOW = 6


@pytest.fixture(scope="module")
def world(nano_world):
    return World.load(nano_world)


@pytest.fixture(autouse=True)
def cache(exported_nano, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(exported_nano))


@pytest.fixture(
    scope="module", params=["onnxruntime fp32", "openvino fp32", "openvino bf16"], ids=str
)
def backend(request, world, exported_nano):
    name, precision = request.param.split()
    pytest.importorskip(name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(exported_nano))
        try:
            return open_backend(world, name, batch=ROWS, precision=precision)
        except InputError as error:
            pytest.skip(str(error))


@pytest.fixture(scope="module")
def reference(world):
    return TorchBackend(world, precision="fp32")


def random_frames(seed):
    return np.random.default_rng(seed).integers(0, 256, (ROWS, 32, 32, 3), dtype=np.uint8)


def test_it_says_what_it_is(backend):
    assert (backend.batch, backend.device.type) == (ROWS, "cpu")
    assert backend.name in ("onnxruntime", "openvino")
    assert copy.deepcopy(backend) is backend


def test_it_agrees_with_torch(world, backend, reference):
    """Teacher-forced, three times around the ring, rows of different age side by side."""
    exact = backend.precision == "fp32"
    keys = torch.tensor([5, 6, (1 << 62) + 1, 8])
    fresh = reference.begin(world.starts[:ROWS])
    state, equal, seen = dict(fresh), [], 0
    rng = np.random.default_rng(0)
    for t in range(3 * WINDOW + 2):
        if t == WINDOW // 2:  # rows 2 and 3 begin anew
            young = torch.tensor([False, False, True, True])
            state = {
                k: torch.where(young.view(-1, *[1] * (v.ndim - 1)), fresh[k], v)
                for k, v in state.items()
            }
        action = rng.integers(0, 3, ROWS)
        want, shown = reference.step(state, action, keys)
        got, imagined = backend.step(state, action, keys)
        half = backend.name == "openvino" and not exact
        assert {k: (v.shape, v.dtype) for k, v in got.items()} == {
            k: (v.shape, torch.bfloat16 if half and is_ring(k) else v.dtype)
            for k, v in want.items()
        }
        assert torch.equal(got["index"], want["index"])
        for name in filter(is_ring, want):
            near = {"atol": 1e-4 if exact else 0.1, "rtol": 0}
            torch.testing.assert_close(got[name].float(), want[name], **near)
        same = (got["codes"] == want["codes"]).flatten(1)
        equal.append(same.float().mean())
        for row in same.all(1).nonzero()[:, 0]:
            seen += 1
            if exact:
                torch.testing.assert_close(
                    imagined.reward[row], shown.reward[row], atol=1e-3, rtol=0
                )
                assert (imagined.frame[row].int() - shown.frame[row].int()).abs().max() <= 1
        assert (imagined.frame.dtype, imagined.frame.shape) == (torch.uint8, (ROWS, 32, 32, 3))
        assert all(
            x.dtype == torch.float32 and x.shape == (ROWS,)
            for x in (imagined.reward, imagined.termination, imagined.surprise)
        )
        state = want
    assert np.mean(equal) >= (0.999 if exact else 0.8)
    assert seen or not exact


def test_the_other_functions_agree_with_torch(world, backend, reference):
    share = 0.999 if backend.precision == "fp32" else 0.8
    codes = backend.encode(random_frames(0))
    assert (codes == reference.encode(random_frames(0))).mean() >= share
    assert codes.dtype == np.int64
    state, expected = backend.begin(codes), reference.begin(codes)
    assert state.keys() == expected.keys()
    assert torch.equal(state["codes"], expected["codes"])
    apart = (backend.decode(state).int() - reference.decode(expected).int()).abs()
    assert apart.max() <= (1 if backend.precision == "fp32" else 12)
    frames, action = random_frames(1), np.array([0, 1, 2, 0])
    after, wanted = (b.observe(expected, frames, action) for b in (backend, reference))
    assert (after["codes"] == wanted["codes"]).float().mean() >= share
    for name in filter(is_ring, wanted):
        torch.testing.assert_close(after[name].float(), wanted[name], atol=0.1, rtol=0)


def test_a_row_is_bit_exact_whatever_its_neighbours(world, backend):
    outcomes = []
    for others in (1, 2):
        keys = torch.tensor([9] + [others] * (ROWS - 1))
        state = backend.begin(world.starts[[3] + [others] * (ROWS - 1)])
        for t in range(2 * WINDOW):
            action = np.array([t % 3] + [others] * (ROWS - 1))
            if t == 4:
                frames = np.concatenate([random_frames(0)[:1], random_frames(others)[1:]])
                state = backend.observe(state, frames, action)
            else:
                state, imagined = backend.step(state, action, keys)
        outcomes.append([*(v[0] for v in state.values()), imagined.frame[0], imagined.reward[0]])
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def test_a_state_is_never_changed(world, backend):
    key = torch.arange(ROWS)
    first = backend.begin(world.starts[:ROWS])
    kept = {k: v.clone() for k, v in first.items()}
    second, imagined = backend.step(first, np.zeros(ROWS, int), key)
    shown = imagined.frame.clone()
    again, _ = backend.step(first, np.zeros(ROWS, int), key)
    backend.step(second, np.ones(ROWS, int), key)
    assert all(torch.equal(first[k], kept[k]) for k in first)
    assert all(torch.equal(second[k], again[k]) for k in first)
    assert torch.equal(imagined.frame, shown)


def test_noise_comes_from_the_key(world, backend):
    state = backend.begin(world.starts[[0] * ROWS])
    following, _ = backend.step(state, np.zeros(ROWS, int), torch.tensor([1, 1, 2, 3]))
    codes = following["codes"]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


def test_states_may_be_rearranged(world, backend):
    """Views with other strides, as indexing makes them."""
    state = backend.begin(world.starts[:ROWS])
    turned = {k: v.flip(0)[torch.tensor([3, 2, 1, 0])] for k, v in state.items()}
    strided = {k: torch.stack([v, v], -1)[..., 0] for k, v in turned.items()}
    key, action = torch.arange(ROWS), np.zeros(ROWS, int)
    a, b = (backend.step(s, action, key)[0] for s in (state, strided))
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_another_number_of_rows_is_refused(world, backend):
    state = backend.begin(world.starts[:ROWS])
    for rows in (1, ROWS + 1):
        with pytest.raises(InputError, match=rf"'action' has {rows} rows, .* opened for {ROWS}"):
            backend.step(state, np.zeros(rows, int), torch.arange(rows))
        with pytest.raises(InputError, match=rf"'codes' has {rows} rows"):
            backend.begin(world.starts[:rows])


def test_a_first_frame_it_has_not_learned(backend):
    with pytest.raises(InputError, match="cannot imagine a first frame"):
        backend.first(torch.arange(ROWS))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_threads_change_nothing_but_the_time(world, name):
    pytest.importorskip(name)
    codes = []
    for threads in (1, 2):
        backend = open_backend(world, name, precision="fp32", threads=threads)
        state = backend.begin(world.starts[:1])
        for _ in range(3):
            state, _ = backend.step(state, np.array([2]), torch.tensor([4]))
        codes.append(state["codes"])
    assert torch.equal(*codes)
