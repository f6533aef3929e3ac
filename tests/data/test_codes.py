"""Code grids on disk."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from worldmodel_env.data import codes as module
from worldmodel_env.data.codes import CodeStore, CodeWriter
from worldmodel_env.errors import InputError

KEY = {"data": "a", "tokenizer": "b"}
STARTS = np.array([0, 3, 7])
EPISODES = np.arange(64, dtype=np.uint8).reshape(2, 32)
ACTIONS = [np.arange(7), np.ones((7, 2), np.int64), np.ones((7, 2), np.float32)]


def begin(path: Path, actions: np.ndarray = ACTIONS[0]) -> CodeWriter:
    return CodeWriter(path, KEY, STARTS, 2, (actions.shape[1:], actions.dtype), EPISODES)


def columns(actions: np.ndarray = ACTIONS[0]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "codes": rng.integers(0, 65536, (7, 2, 2)).astype(np.uint16),
        "actions": actions,
        "rewards": rng.random(7).astype(np.float32),
        "terminations": rng.random(7) > 0.5,
    }


def fill(writer: CodeWriter, episodes: list[int], values: dict[str, np.ndarray]) -> None:
    for episode in episodes:
        rows = slice(STARTS[episode], STARTS[episode + 1])
        writer.put(episode, **{name: array[rows] for name, array in values.items()})


@pytest.mark.parametrize("actions", ACTIONS)
def test_round_trip(tmp_path: Path, actions: np.ndarray) -> None:
    path, values = tmp_path / "codes" / "train.safetensors", columns(actions)
    writer = begin(path, actions)
    assert writer.missing == [0, 1]
    fill(writer, [1, 0], values)
    written = writer.finish()
    again = CodeStore.load(path, KEY)
    assert again is not None
    for store in (written, again):
        for name, before in {**values, "starts": STARTS, "episodes": EPISODES}.items():
            after = getattr(store, name)
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)
        assert store.key == KEY
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert np.array_equal(load_file(path)["codes"], values["codes"])  # plain safetensors


def test_a_part_of_the_key_finds_whatever_was_made_of_it(tmp_path: Path) -> None:
    path, values = tmp_path / "train.safetensors", columns()
    fill(writer := begin(path), [0, 1], values)
    writer.finish()
    store = CodeStore.load(path, {"tokenizer": "b"})
    assert store is not None
    assert store.key == KEY
    for name, array in store.columns(1).items():
        assert np.array_equal(array, values[name][3:7])
    assert CodeStore.load(path, {"tokenizer": "c"}) is None


def test_rows_that_are_not_given_are_zero(tmp_path: Path) -> None:
    writer = begin(tmp_path / "train.safetensors")
    writer.put(0, codes=np.ones((3, 2, 2), np.uint16), actions=np.array([5, 6]))
    store = writer.finish()
    assert store.actions.tolist() == [5, 6, 0, 0, 0, 0, 0]


def test_a_writer_goes_on_where_another_stopped(tmp_path: Path) -> None:
    path, values = tmp_path / "train.safetensors", columns()
    fill(begin(path), [1], values)
    assert CodeStore.load(path, KEY) is None
    writer = begin(path)
    assert writer.missing == [0]
    fill(writer, [0], values)
    assert np.array_equal(writer.finish().codes, values["codes"])


@pytest.mark.parametrize(
    "spoil",
    [lambda p: p.write_bytes(p.read_bytes()[:100]), lambda p: p.write_bytes(b"")],
    ids=["cut", "empty"],
)
def test_an_unfinished_file_that_is_damaged_begins_again(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    path = tmp_path / "train.safetensors"
    fill(begin(path), [1], columns())
    spoil(next(tmp_path.iterdir()))
    assert begin(path).missing == [0, 1]


def test_an_unfinished_file_of_something_else_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    fill(begin(path), [1], columns())
    other = {**KEY, "data": "c"}
    writer = CodeWriter(path, other, STARTS, 2, ((), np.dtype(np.int64)), EPISODES)
    assert writer.missing == [0, 1]


def test_absent_or_made_of_something_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    assert CodeStore.load(path, KEY) is None
    begin(path).finish()
    assert CodeStore.load(path, {**KEY, "tokenizer": "other"}) is None


@pytest.mark.parametrize("size", [0, 5, 100, -10])
def test_a_damaged_file_is_none(tmp_path: Path, size: int) -> None:
    path = tmp_path / "train.safetensors"
    begin(path).finish()
    path.write_bytes(path.read_bytes()[:size])
    assert CodeStore.load(path, KEY) is None


def test_a_full_disk_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(size: int) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "bytes", full, raising=False)
    with pytest.raises(InputError, match="No space left on device"):
        begin(tmp_path / "train.safetensors")
    assert not any(tmp_path.iterdir())
