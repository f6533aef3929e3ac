"""Code grids on disk."""

from pathlib import Path

import numpy as np
import pytest

from worldmodel_env.data.codes import CodeStore

KEY = {"data": "a", "tokenizer": "b"}


def build(actions: np.ndarray) -> CodeStore:
    rng = np.random.default_rng(0)
    return CodeStore(
        codes=rng.integers(0, 65536, (7, 2, 2)).astype(np.uint16),
        actions=actions,
        rewards=rng.random(7).astype(np.float32),
        terminations=rng.random(7) > 0.5,
        starts=np.array([0, 3, 7]),
        key=KEY,
    )


@pytest.mark.parametrize(
    "actions", [np.arange(7), np.ones((7, 2), np.int64), np.ones((7, 2), np.float32)]
)
def test_round_trip(tmp_path: Path, actions: np.ndarray) -> None:
    store, path = build(actions), tmp_path / "codes" / "train.safetensors"
    store.save(path)
    again = CodeStore.load(path, KEY)
    assert again is not None
    for name in ("codes", "actions", "rewards", "terminations", "starts"):
        before, after = getattr(store, name), getattr(again, name)
        assert before.dtype == after.dtype
        assert np.array_equal(before, after)
    assert again.key == KEY
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_absent_or_made_of_something_else_is_none(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    assert CodeStore.load(path, KEY) is None
    build(np.arange(7)).save(path)
    assert CodeStore.load(path, {**KEY, "tokenizer": "other"}) is None


@pytest.mark.parametrize("size", [0, 5, 100, -10])
def test_a_damaged_file_is_none(tmp_path: Path, size: int) -> None:
    path = tmp_path / "train.safetensors"
    build(np.arange(7)).save(path)
    path.write_bytes(path.read_bytes()[:size])
    assert CodeStore.load(path, KEY) is None
