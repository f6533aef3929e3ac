import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import toy_env

from simulators.recorder import record
from worldmodel_env.data import pack as pack_module
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.pack import pack
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError


@pytest.fixture
def copy(toy_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_set, tmp_path / "copy-v0"))


def files(root: Path, folder: str) -> list[str]:
    return sorted(path.name for path in (root / "data" / folder).iterdir())


def test_episodes_move_into_shards_of_one_split(copy):
    before = TrajectoryDataset.open(copy).data_hash()
    summary = pack(copy, 5)
    assert (summary.episodes, summary.shards) == (18, 5)
    assert files(copy, "episodes") == []
    assert files(copy, "shards") == [
        "test-002000000-002000002.hdf5",
        "train-000000000-000000004.hdf5",
        "train-000000005-000000009.hdf5",
        "train-000000010-000000011.hdf5",
        "validation-001000000-001000002.hdf5",
    ]
    assert TrajectoryDataset.open(copy).data_hash() == before
    assert validate(copy).ok
    assert validate(copy).notes == ()


def test_minari_reads_shards(copy, monkeypatch):
    minari = pytest.importorskip("minari")
    pack(copy, 5)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(copy.parent))
    dataset = TrajectoryDataset.open(copy)
    for ref, episode in zip(dataset.episodes(), minari.load_dataset(copy.name), strict=True):
        assert (episode.observations == dataset.read(ref).observations).all()


def test_packing_again_leaves_existing_shards(copy):
    pack(copy, 20)
    record(toy_env.ID, copy, episodes=15, policy="random", progress=False)
    assert len(files(copy, "episodes")) == 3
    stamps = {path: path.stat().st_mtime_ns for path in (copy / "data/shards").iterdir()}
    assert pack(copy, 20).shards == 1
    assert pack(copy, 20).shards == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    assert len(TrajectoryDataset.open(copy).episodes()) == 21
    assert validate(copy).ok


def test_an_interruption_at_any_point_loses_and_doubles_nothing(copy, monkeypatch):
    reference = TrajectoryDataset.open(copy).data_hash()

    def interrupted_delete(data: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pack_module, "_delete_packed", interrupted_delete)
    with pytest.raises(KeyboardInterrupt):
        pack(copy, 5)
    assert len(files(copy, "episodes")) == 18
    assert len(files(copy, "shards")) == 5
    dataset = TrajectoryDataset.open(copy)
    assert dataset.data_hash() == reference
    assert all(ref.path.parent.name == "shards" for ref in dataset.episodes())
    assert validate(copy).ok
    monkeypatch.undo()
    assert pack(copy, 5).shards == 0
    assert files(copy, "episodes") == []
    assert TrajectoryDataset.open(copy).data_hash() == reference


def test_readers_see_all_episodes_while_it_is_packed_and_killed(copy):
    reference = TrajectoryDataset.open(copy).data_hash()
    slowed = (
        "import sys, time; from worldmodel_env.data import pack as p;"
        "write = p._write_shard;"
        "p._write_shard = lambda *a: (write(*a), time.sleep(0.05));"
        "p.pack(sys.argv[1], 2)"
    )
    process = subprocess.Popen([sys.executable, "-c", slowed, str(copy)])
    while process.poll() is None:
        assert TrajectoryDataset.open(copy).data_hash() == reference
        if len(list((copy / "data").glob("shards/*.hdf5"))) >= 4:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.005)
    assert process.returncode == -signal.SIGKILL
    assert TrajectoryDataset.open(copy).data_hash() == reference
    pack(copy, 2)
    assert files(copy, "episodes") == []
    assert TrajectoryDataset.open(copy).data_hash() == reference
    assert validate(copy).ok


def test_bad_input_changes_nothing(copy):
    with pytest.raises(InputError, match="episodes_per_file is 0"):
        pack(copy, 0)
    (copy / "data/episodes/train-000000002.hdf5").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"train-000000002\.hdf5"):
        pack(copy, 5)
    assert len(files(copy, "episodes")) == 18
    assert not (copy / "data/shards").exists()
