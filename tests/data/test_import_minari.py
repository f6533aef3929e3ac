"""Minari sets come in, go out, and cannot reach outside their folder."""

import json
from pathlib import Path
from shutil import copytree

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from gymnasium import spaces

from worldmodel_env.data import schema
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.export import export_minari
from worldmodel_env.data.importers.formats import make_importer
from worldmodel_env.data.importers.run import import_set
from worldmodel_env.data.importers.splits import Shares
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

minari = pytest.importorskip("minari")
NONE = Shares(validation=0, test=0)


def test_exported_and_imported_it_is_the_same(
    toy_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = export_minari(toy_set, tmp_path / "toy-v3", progress=False)
    ours = TrajectoryDataset.open(toy_set)
    refs = ours.episodes()
    assert summary.episodes == len(refs)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    theirs = minari.load_dataset("toy-v3")
    assert theirs.total_steps == sum(ref.total_steps for ref in refs)
    for ref, episode in zip(refs, theirs, strict=True):
        mine = ours.read(ref)
        np.testing.assert_array_equal(episode.observations, mine.observations)
        np.testing.assert_array_equal(episode.actions, mine.actions)
        np.testing.assert_array_equal(episode.rewards, mine.rewards)
        np.testing.assert_array_equal(episode.infos["pose"], mine.pose)

    importer = make_importer("minari", tmp_path / "toy-v3")
    import_set(importer, tmp_path / "back", shares=NONE, progress=False)
    back = TrajectoryDataset.open(tmp_path / "back")
    assert back.action_space == ours.action_space
    assert [back.read(r).sha256 for r in back.episodes()] == [ours.read(r).sha256 for r in refs]
    assert validate(tmp_path / "back").ok


def test_exported_files_need_no_plugin(toy_set: Path, tmp_path: Path) -> None:
    export_minari(toy_set, tmp_path / "toy-v0", split="test", progress=False)
    with h5py.File(tmp_path / "toy-v0" / "data" / "main_data.hdf5", "r") as file:
        assert list(file) == ["episode_0", "episode_1", "episode_2"]
        assert file["episode_0/observations"].compression == "gzip"
        assert file["episode_0"].attrs["split"] == "test"


def test_bad_exports(toy_set: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="end it in -v0"):
        export_minari(toy_set, tmp_path / "toy", progress=False)
    (tmp_path / "toy-v0").mkdir()
    with pytest.raises(InputError, match="exists"):
        export_minari(toy_set, tmp_path / "toy-v0", progress=False)
    damaged = copytree(toy_set, tmp_path / "damaged")
    path = sorted((damaged / "data/episodes").iterdir())[3]
    content = bytearray(path.read_bytes())
    content[2000:4000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=path.name):
        export_minari(damaged, tmp_path / "out-v0", progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["damaged", "toy-v0"]


def write_minari(root: Path, observations: spaces.Space, episodes: list[dict]) -> None:
    """A set as Minari's own writer lays it out, without JPEG."""
    data = root / "data"
    data.mkdir(parents=True)
    with h5py.File(data / "main_data.hdf5", "w") as file:
        for number, columns in enumerate(episodes):
            group = file.create_group(f"episode_{number}")
            for name, values in columns.items():
                group[name] = values
            group.attrs.update(id=number, total_steps=len(columns["rewards"]))
    (data / "metadata.json").write_text(
        json.dumps(
            {
                "total_episodes": len(episodes),
                "total_steps": sum(len(columns["rewards"]) for columns in episodes),
                "data_format": "hdf5",
                "jpeg_encoding": False,
                "observation_space": minari.serialization.serialize_space(observations),
                "action_space": minari.serialization.serialize_space(
                    spaces.Box(-1, 1, (2,), np.float64)
                ),
                "dataset_id": "theirs-v0",
                "minari_version": "0.5.3",
            }
        )
    )


def columns(**images: np.ndarray) -> dict:
    return {
        **{f"observations/{name}": frames for name, frames in images.items()},
        "actions": np.linspace(-1, 1, 8).reshape(4, 2),
        "rewards": np.ones(4),
        "terminations": np.zeros(4, bool),
        "truncations": np.zeros(4, bool),
    }


IMAGE = spaces.Box(0, 255, (8, 8, 3), np.uint8)


def test_a_camera_is_chosen_among_several(tmp_path: Path) -> None:
    src = tmp_path / "src"
    film = np.arange(5 * 192, dtype=np.uint8).reshape(5, 8, 8, 3)
    both = spaces.Dict({"left": IMAGE, "right": IMAGE, "state": spaces.Box(-1, 1, (3,))})
    write_minari(src, both, [columns(left=film, right=255 - film, state=np.zeros((5, 3)))])
    with pytest.raises(InputError, match="give --camera with one of left, right"):
        make_importer("minari", src).sources()
    import_set(make_importer("minari", src, camera="right"), tmp_path / "set", shares=NONE,
               progress=False)  # fmt: skip
    dataset = TrajectoryDataset.open(tmp_path / "set")
    episode = dataset.read(dataset.episodes()[0])
    np.testing.assert_array_equal(episode.observations, 255 - film)
    assert episode.actions.dtype == np.float32
    assert dataset.action_space == spaces.Box(-1, 1, (2,), np.float32)
    assert episode.truncations.tolist() == [False, False, False, True]  # nothing else ended it


def test_sets_without_images_are_refused(tmp_path: Path) -> None:
    write_minari(tmp_path, spaces.Dict({"state": spaces.Box(-1, 1, (3,))}), [])
    with pytest.raises(InputError, match="of which it has none"):
        make_importer("minari", tmp_path).sources()


def test_no_set_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no Minari data set"):
        make_importer("minari", tmp_path).sources()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "metadata.json").write_text("{}")
    with pytest.raises(InputError, match="cannot be read by Minari"):
        make_importer("minari", tmp_path).sources()


@pytest.mark.parametrize("target", ["/etc/hosts", "../../secret.hdf5", "deep/../../../x.hdf5"])
def test_links_out_of_the_folder_are_refused(toy_set: Path, tmp_path: Path, target: str) -> None:
    copy = copytree(toy_set, tmp_path / "copy")
    path = copy / "data" / schema.LINK_FILE
    with h5py.File(path, "r+") as links:
        del links["episode_0"]
        links["episode_0"] = h5py.ExternalLink(target, "/secret")
    with pytest.raises(InputError, match=f"links to {target}, outside the data set"):
        make_importer("minari", copy).sources()
    assert any(target in problem for problem in validate(copy).problems)


def test_our_own_sets_are_minari_sets(toy_set: Path, tmp_path: Path) -> None:
    copy = copytree(toy_set, tmp_path / "copy")
    assert len(make_importer("minari", copy).sources()) == 18


def test_a_set_whose_name_has_no_version(toy_set: Path, tmp_path: Path) -> None:
    importer = make_importer("minari", Path(copytree(toy_set, tmp_path / "dots")))
    import_set(importer, tmp_path / "again", shares=NONE, progress=False)
    assert TrajectoryDataset.open(tmp_path / "again").metadata["simulators"]


def link(file: h5py.File, key: str) -> None:
    file["elsewhere"] = h5py.ExternalLink("/etc/hosts", "/")


def inner_link(file: h5py.File, key: str) -> None:
    del file[key]["rewards"]
    file[key]["rewards"] = h5py.ExternalLink("/etc/hosts", "/")


def raw_file(file: h5py.File, key: str) -> None:
    del file[key]["rewards"]
    file[key].create_dataset("rewards", (4,), "f4", external=[("/etc/hosts", 0, 16)])


def virtual(file: h5py.File, key: str) -> None:
    del file[key]["rewards"]
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/hosts", "x", (4,))
    file[key].create_virtual_dataset("rewards", layout)


@pytest.mark.parametrize("tamper", [link, inner_link, raw_file, virtual])
def test_episode_files_that_refer_to_others_are_refused(
    toy_set: Path, tmp_path: Path, tamper
) -> None:
    copy = copytree(toy_set, tmp_path / "copy")
    with h5py.File(copy / "data" / schema.episode_file(1), "r+") as file:
        tamper(file, "episode_1")
    with pytest.raises(InputError, match="it refers to /etc/hosts, another file"):
        TrajectoryDataset.open(copy)
