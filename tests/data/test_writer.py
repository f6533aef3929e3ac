import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from worldmodel_env.data import schema, writer
from worldmodel_env.data.episode import Episode
from worldmodel_env.errors import InputError


def episode(seed: int = 7, steps: int = 20) -> Episode:
    rng = np.random.default_rng(seed)
    return Episode(
        observations=rng.integers(0, 255, (steps + 1, 32, 48, 3)).astype(np.uint8),
        actions=rng.integers(0, 3, steps),
        rewards=rng.random(steps, np.float32),
        terminations=np.arange(steps) == steps - 1,
        truncations=np.zeros(steps, np.bool_),
        pose=rng.random((steps + 1, 3), np.float32),
        attributes={
            "seed": seed,
            "split": "train",
            "versions": {"numpy": "2"},
            "layout": np.eye(3, dtype=np.uint8),
            "goal": (1, 2),
        },
    )


def test_a_file_holds_what_was_written(tmp_path):
    written = episode()
    writer.write_episode(tmp_path / "a.hdf5", written)
    with h5py.File(tmp_path / "a.hdf5", "r") as file:
        group = file["episode_7"]
        assert list(file) == ["episode_7"]
        for name in ("observations", "actions", "rewards", "terminations", "truncations"):
            np.testing.assert_array_equal(group[name][()], getattr(written, name))
            assert group[name].dtype == getattr(written, name).dtype
        np.testing.assert_array_equal(group["infos/pose"][()], written.pose)
        assert group["observations"].chunks == (schema.CHUNK, 32, 48, 3)
        assert group.attrs["id"] == group.attrs["seed"] == 7
        assert group.attrs["total_steps"] == 20
        assert group.attrs["sha256"] == written.sha256
        assert json.loads(group.attrs["versions"]) == {"numpy": "2"}
        np.testing.assert_array_equal(group.attrs["layout"], np.eye(3))
        np.testing.assert_array_equal(group.attrs["goal"], [1, 2])
    assert os.listdir(tmp_path) == ["a.hdf5"]


@pytest.mark.parametrize("steps", [1, 15, 16, 40])
def test_any_length_can_be_written(tmp_path, steps):
    writer.write_episode(tmp_path / "a.hdf5", episode(steps=steps))
    with h5py.File(tmp_path / "a.hdf5", "r") as file:
        assert len(file["episode_7/observations"]) == steps + 1


def test_the_same_episode_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        writer.write_episode(tmp_path / name, episode())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.hdf5"
    writer.write_episode(path, episode(seed=1))
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(writer.os, "fsync", full)
    with pytest.raises(InputError, match=r"a\.hdf5 \(No space left on device\)"):
        writer.write_episode(path, episode(seed=2))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.hdf5"]


def test_an_exception_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), writer.hdf5_file(tmp_path / "a.hdf5") as file:
        file["x"] = 1 / 0
    assert os.listdir(tmp_path) == []


def test_only_temporary_files_without_a_writer_are_removed(tmp_path):
    def leftover(host: str, pid: int, age: float = 0) -> Path:
        path = tmp_path / f".a.hdf5.{host}-{pid}.partial"
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age,) * 2)
        return path

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = writer._host()
    leftover(here, ended.pid)
    leftover("elsewhere", 1, age=7200)
    kept = {leftover(here, os.getpid(), age=7200), leftover("elsewhere", 2)}
    writer.remove_abandoned(tmp_path)
    assert set(tmp_path.iterdir()) == kept
