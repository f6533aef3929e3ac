import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import toy_env
from gymnasium.spaces import Discrete

from simulators.recorder import record
from worldmodel_env.data import schema
from worldmodel_env.data.info import info
from worldmodel_env.data.pack import pack
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

NAME = "train-000000004.hdf5"


@pytest.fixture
def copy(toy_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy_set, tmp_path / "copy-v0"))


def test_a_recorded_set_is_sound(toy_set):
    report = validate(toy_set)
    assert report.ok
    assert (report.files, report.episodes, report.notes) == (18, 18, ())
    assert "18 episodes in 18 files: sound" in str(report)


def set_array(name, index, value):
    def damage(group: h5py.Group) -> None:
        group[name][index] = value

    return damage


def replace_array(name, change):
    def damage(group: h5py.Group) -> None:
        value = change(group[name][()])
        del group[name]
        group[name] = value

    return damage


def set_attribute(name, value):
    return lambda group: group.attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (set_array("observations", (0, 0, 0, 0), 201), "does not match its hash"),
        (set_array(schema.POSE, (2, 1), np.nan), "pose of frame 2 is not finite"),
        (set_array("rewards", 1, np.inf), "reward of step 1 is not finite"),
        (set_array("truncations", 0, True), "ends at step 0 but goes on"),
        (set_array("actions", 3, 9), "action 9 of step 3 is not in Discrete(3)"),
        (replace_array("actions", lambda a: a[:-1]), "actions has"),
        (replace_array("actions", lambda a: a.astype(np.float64)), "actions are float64"),
        (replace_array("rewards", lambda a: a.astype(np.float64)), "rewards is float64"),
        (replace_array("observations", lambda a: a[:-1]), "steps but frames of shape"),
        (replace_array("observations", lambda a: a.astype(np.int16)), "observations are int16"),
        (replace_array(schema.POSE, lambda a: a[1:]), "pose is float32"),
        (set_attribute("seed", 1_000_007), "outside the range of train"),
        (set_attribute("split", "dev"), "unknown split 'dev'"),
        (set_attribute("action_space", schema.space_to_json(Discrete(4))), "has the action space"),
        (set_attribute("action_space", '{"type": "Discrete"}'), "cannot be read"),
        (lambda group: group.__delitem__("terminations"), "terminations"),
        (lambda group: group.attrs.__delitem__("policy"), "lacks the attributes policy"),
    ],
)
def test_damage_is_named_with_its_file(copy, damage, words):
    with h5py.File(copy / "data/episodes" / NAME, "r+") as file:
        damage(file["episode_4"])
    report = validate(copy)
    assert not report.ok
    assert any(NAME in problem and words in problem for problem in report.problems), str(report)
    assert all(NAME in problem for problem in report.problems), str(report)


def test_files_that_do_not_open_are_named(copy):
    (copy / "data/episodes" / NAME).write_bytes(b"nonsense")
    report = validate(copy)
    assert report.files == 18
    assert [NAME in problem for problem in report.problems] == [True]


def test_other_resolution_is_named(copy, tmp_path):
    record(
        toy_env.ID, tmp_path / "other", episodes=1, seed=50, policy="random",
        env_kwargs={"image_size": 48}, progress=False,
    )  # fmt: skip
    shutil.copy(tmp_path / "other/data/episodes/train-000000050.hdf5", copy / "data/episodes")
    assert "48 x 48 pixels" in str(validate(copy))


def test_one_seed_with_two_contents_is_named(copy):
    pack(copy, 20)
    record(
        toy_env.ID, copy.parent / "other", episodes=1, seed=3, policy="random",
        env_kwargs={"size": 5}, progress=False,
    )  # fmt: skip
    shutil.copy(copy.parent / "other/data/episodes/train-000000003.hdf5", copy / "data/episodes")
    assert "both hold seed 3" in str(validate(copy))


def test_links_out_of_the_folder_are_refused(copy):
    with h5py.File(copy / "data" / schema.LINK_FILE, "r+") as links:
        del links["episode_0"]
        links["episode_0"] = h5py.ExternalLink("../../secret.hdf5", "/x")
    assert "outside the data set" in str(validate(copy))


def test_stale_caches_and_leftovers_are_notes(copy):
    (copy / "data" / schema.LINK_FILE).unlink()
    (copy / "data/episodes/.x.hdf5.host-1.partial").write_bytes(b"")
    report = validate(copy)
    assert report.ok
    assert "out of date" in report.notes[0]
    assert "killed" in report.notes[1]
    assert not (copy / "data" / schema.LINK_FILE).exists()


def test_no_data_set_and_no_episodes(tmp_path):
    with pytest.raises(InputError, match="is not a data set"):
        validate(tmp_path)
    (tmp_path / "data/episodes").mkdir(parents=True)
    assert "no episodes" in str(validate(tmp_path))


def test_info_counts_what_is_there(toy_set):
    figures = info(toy_set)
    assert [(split.name, split.episodes) for split in figures.splits] == [
        ("train", 12),
        ("validation", 3),
        ("test", 3),
    ]
    steps = sum(split.frames - split.episodes for split in figures.splits)
    assert sum(figures.actions[0]) == steps
    assert figures.policies == {"random": 18}
    assert figures.tasks == {"wall": 18}
    assert figures.simulators == {"toy_env:Toy-v0()": 18}
    assert figures.bytes == sum(p.stat().st_size for p in (toy_set / "data/episodes").iterdir())
    for word in ("32 x 32", "random 18", "Discrete(3)", "validation", figures.data_hash):
        assert word in str(figures)


@pytest.mark.parametrize(("action", "bins"), [("multi", [3, 2]), ("box", [10, 10])])
def test_info_of_other_actions(tmp_path, action, bins):
    record(
        toy_env.ID, tmp_path, episodes=3, policy="random", env_kwargs={"action": action},
        progress=False,
    )  # fmt: skip
    assert validate(tmp_path).ok
    figures = info(tmp_path)
    assert [len(counts) for counts in figures.actions] == bins
    assert "dimension 1" in str(figures)


def test_a_file_under_another_seeds_name_is_named(copy):
    folder = copy / "data/episodes"
    (folder / NAME).rename(folder / "train-000000999.hdf5")
    assert f"seed 4 belongs into episodes/{NAME}" in str(validate(copy))
