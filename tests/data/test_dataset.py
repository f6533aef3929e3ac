import json
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (Minari needs the zstd filter)
import numpy as np
import pytest
import toy_env
from gymnasium import spaces

from simulators.recorder import record
from worldmodel_env.data import schema
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.pack import pack
from worldmodel_env.errors import InputError


@pytest.fixture
def copy(toy_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_set, tmp_path / "copy-v0"))


def test_episodes_come_by_split_and_seed(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    assert dataset.observation_space == spaces.Box(0, 255, (32, 32, 3), np.uint8)
    assert dataset.action_space == spaces.Discrete(3)
    assert [ref.seed for ref in dataset.episodes("train")] == list(range(12))
    assert [ref.seed for ref in dataset.episodes("validation")] == [1000000, 1000001, 1000002]
    assert [ref.split for ref in dataset.episodes("test")] == ["test"] * 3
    assert len(dataset.episodes()) == dataset.metadata["total_episodes"] == 18
    with pytest.raises(InputError, match="'valid'"):
        dataset.episodes("valid")


def test_slices_agree_with_the_whole(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    ref = max(dataset.episodes(), key=lambda ref: ref.total_steps)
    whole = dataset.read(ref)
    assert len(whole) == ref.total_steps
    assert whole.sha256 == ref.row.sha256
    for start, stop in ((0, 1), (3, 20), (15, 17), (ref.total_steps, ref.total_steps + 1)):
        part = dataset.read(ref, start, stop)
        np.testing.assert_array_equal(part.observations, whole.observations[start:stop])
        np.testing.assert_array_equal(part.pose, whole.pose[start:stop])
        for name in ("actions", "rewards", "terminations", "truncations"):
            expected = getattr(whole, name)[start : stop - 1]
            np.testing.assert_array_equal(getattr(part, name), expected)
    np.testing.assert_array_equal(dataset.actions(ref), whole.actions)
    for start, stop in ((-1, 3), (3, 3), (0, ref.total_steps + 2)):
        with pytest.raises(InputError, match="not in episode"):
            dataset.read(ref, start, stop)


def test_minari_reads_it(toy_set, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(toy_set.parent))
    ours = TrajectoryDataset.open(toy_set)
    theirs = minari.load_dataset(toy_set.name)
    assert theirs.observation_space == ours.observation_space
    assert theirs.action_space == ours.action_space
    assert theirs.total_episodes == 18
    assert theirs.total_steps == ours.metadata["total_steps"]
    assert theirs.spec.dataset_name == "toy"
    assert toy_set.name in minari.list_local_datasets()
    for ref, episode in zip(ours.episodes(), theirs, strict=True):
        expected = ours.read(ref)
        np.testing.assert_array_equal(episode.observations, expected.observations)
        np.testing.assert_array_equal(episode.actions, expected.actions)
        np.testing.assert_array_equal(episode.rewards, expected.rewards)
        np.testing.assert_array_equal(episode.terminations, expected.terminations)
        np.testing.assert_array_equal(episode.truncations, expected.truncations)
        np.testing.assert_array_equal(episode.infos["pose"], expected.pose)
    seeds = [episode["seed"] for episode in theirs.storage.get_episode_metadata(range(18))]
    assert seeds == [ref.seed for ref in ours.episodes()]
    assert len(list(theirs.filter_episodes(lambda episode: episode.terminations[-1]))) == sum(
        ref.row.sum_rewards > 0 for ref in ours.episodes()
    )


def test_minari_reads_a_folder_that_was_moved(copy, monkeypatch):
    minari = pytest.importorskip("minari")
    moved = copy.rename(copy.with_name("elsewhere-v3"))
    TrajectoryDataset.open(moved)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(moved.parent))
    monkeypatch.chdir("/")
    assert minari.load_dataset("elsewhere-v3")[0].observations.shape[1:] == (32, 32, 3)
    assert minari.load_dataset("elsewhere-v3").spec.version == 3


@pytest.mark.parametrize("name", [schema.METADATA_FILE, schema.LINK_FILE])
@pytest.mark.parametrize("damage", ["missing", "nonsense"])
def test_caches_are_rebuilt(copy, name, damage):
    reference = TrajectoryDataset.open(copy)
    path = copy / "data" / name
    path.unlink() if damage == "missing" else path.write_bytes(b"nonsense")
    again = TrajectoryDataset.open(copy)
    assert again.data_hash() == reference.data_hash()
    assert json.loads((copy / "data" / schema.METADATA_FILE).read_text())["total_episodes"] == 18


def test_a_removed_episode_leaves_the_caches(copy, monkeypatch):
    minari = pytest.importorskip("minari")
    (copy / "data/episodes/train-000000003.hdf5").unlink()
    assert len(TrajectoryDataset.open(copy).episodes()) == 17
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(copy.parent))
    assert len(list(minari.load_dataset(copy.name))) == 17


def test_opening_again_changes_nothing_on_disk(copy):
    TrajectoryDataset.open(copy)
    files = [copy / "data" / schema.METADATA_FILE, copy / "data" / schema.LINK_FILE]
    stamps = [path.stat().st_mtime_ns for path in files]
    TrajectoryDataset.open(copy)
    assert [path.stat().st_mtime_ns for path in files] == stamps


def test_a_read_only_folder_is_served_from_the_scan(copy, monkeypatch):
    (copy / "data" / schema.METADATA_FILE).unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert len(TrajectoryDataset.open(copy).episodes()) == 18
    assert not (copy / "data" / schema.METADATA_FILE).exists()


@pytest.mark.parametrize("content", [b"", b"not hdf5", None])
def test_a_corrupted_file_is_named_and_skipped_only_on_request(copy, content):
    path = copy / "data/episodes/train-000000003.hdf5"
    path.write_bytes(path.read_bytes()[:2000] if content is None else content)
    with pytest.raises(InputError, match=r"train-000000003\.hdf5"):
        TrajectoryDataset.open(copy)
    dataset = TrajectoryDataset.open(copy, skip_corrupt=True)
    assert [ref.seed for ref in dataset.episodes("train")] == [0, 1, 2, *range(4, 12)]
    assert list(dataset.skipped) == [path]


def test_damage_inside_a_file_is_named_when_read(copy):
    dataset = TrajectoryDataset.open(copy)
    ref = dataset.episodes()[5]
    content = bytearray(ref.path.read_bytes())
    magic = content.find(b"\x28\xb5\x2f\xfd")  # the first zstd frame
    content[magic : magic + 64] = bytes(64)
    ref.path.write_bytes(content)
    with pytest.raises(InputError, match=r"train-000000005\.hdf5"):
        dataset.read(ref)


def test_a_newer_schema_is_refused(copy):
    with h5py.File(copy / "data/episodes/train-000000000.hdf5", "r+") as file:
        file["episode_0"].attrs["schema_version"] = schema.SCHEMA_VERSION + 1
    with pytest.raises(InputError, match="upgrade"):
        TrajectoryDataset.open(copy)


@pytest.mark.parametrize("prepare", [lambda path: None, lambda path: path.mkdir()])
def test_what_is_no_data_set_is_refused(tmp_path, prepare):
    prepare(tmp_path / "nothing")
    with pytest.raises(InputError, match="nothing"):
        TrajectoryDataset.open(tmp_path / "nothing")


def test_an_empty_data_set_is_refused(tmp_path):
    (tmp_path / "data/episodes").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no episodes"):
        TrajectoryDataset.open(tmp_path)


@pytest.mark.parametrize("kwargs", [{"image_size": 48}, {"action": "multi"}])
def test_mixed_spaces_are_refused(copy, tmp_path, kwargs):
    record(
        toy_env.ID, tmp_path / "other", episodes=1, seed=50, policy="random",
        env_kwargs=kwargs, progress=False,
    )  # fmt: skip
    shutil.copy(tmp_path / "other/data/episodes/train-000000050.hdf5", copy / "data/episodes")
    with pytest.raises(InputError, match=r"train-000000050\.hdf5"):
        TrajectoryDataset.open(copy)


def test_one_dataset_serves_threads_processes_and_pickles(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    refs = dataset.episodes() * 4
    expected = [dataset.read(ref).sha256 for ref in refs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda ref: dataset.read(ref).sha256, refs)) == expected
    restored = pickle.loads(pickle.dumps(dataset))
    assert restored.read(refs[3]).sha256 == expected[3]

    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(
        target=lambda: queue.put([dataset.read(ref).sha256 for ref in refs]), daemon=True
    )
    child.start()
    assert queue.get() == expected
    child.join(10)
    assert dataset.read(refs[0]).sha256 == expected[0]


def test_more_files_than_handles(toy_set, monkeypatch):
    monkeypatch.setattr("worldmodel_env.data.reader.OPEN_FILES", 2)
    monkeypatch.setattr("worldmodel_env.data.reader.KEPT_EPISODES", 3)
    dataset = TrajectoryDataset.open(toy_set)
    for ref in dataset.episodes() * 2:
        assert dataset.read(ref).sha256 == ref.row.sha256
    assert len(dataset._reader._files) == 2
    dataset.close()
    assert dataset.read(dataset.episodes()[0]).sha256 == dataset.episodes()[0].row.sha256


def test_packing_does_not_disturb_a_reader(copy):
    dataset = TrajectoryDataset.open(copy)
    pack(copy, 5)
    for ref in dataset.episodes():
        assert dataset.read(ref).sha256 == ref.row.sha256


def test_the_hash_is_of_the_content_not_the_grouping(copy, toy_set):
    reference = TrajectoryDataset.open(toy_set)
    pack(copy, 5)
    packed = TrajectoryDataset.open(copy)
    assert packed.data_hash() == reference.data_hash()
    assert packed.data_hash("train") == reference.data_hash("train") != reference.data_hash()


def test_attributes_are_read_when_asked_for(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    ref = dataset.episodes("train")[0]
    attributes = dataset.read(ref).attributes
    dataset.close()
    assert attributes["policy"] == "random"
    assert {"seed", "split", "versions"} <= set(attributes)
    assert len(attributes) == len(dict(attributes))
    assert pickle.loads(pickle.dumps(attributes))["versions"] == attributes["versions"]


def test_frames_alone(toy_set):
    dataset = TrajectoryDataset.open(toy_set)
    ref = dataset.episodes("train")[0]
    np.testing.assert_array_equal(dataset.frames(ref, 5, 20), dataset.read(ref).observations[5:20])
    with pytest.raises(InputError, match="are not in episode"):
        dataset.frames(ref, 5, 1000)
