"""LeRobot sets of both layouts come in with each action between the right two frames."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from published_sets import moving_square, number_of, write_lerobot_2, write_lerobot_3

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.importers.formats import make_importer
from worldmodel_env.data.importers.run import import_set
from worldmodel_env.data.importers.splits import Shares
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

pytest.importorskip("pyarrow")
NONE = Shares(validation=0, test=0)
Write = Callable[[Path, list[np.ndarray]], None]
BOTH = pytest.mark.parametrize("write", [write_lerobot_2, write_lerobot_3])


def edit(root: Path, **changes: object) -> None:
    path = root / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@BOTH
def test_frames_actions_and_rewards(tmp_path: Path, write: Write) -> None:
    films = [moving_square(12), moving_square(30)[10:25]]
    write(tmp_path / "src", films)
    importer = make_importer("lerobot", tmp_path / "src", resolution=32)
    import_set(importer, tmp_path / "set", shares=NONE, progress=False)
    dataset = TrajectoryDataset.open(tmp_path / "set")
    assert isinstance(dataset.action_space, spaces.Box)
    assert dataset.action_space.is_bounded()
    for ref, film in zip(dataset.episodes(), films, strict=True):
        episode = dataset.read(ref)
        steps = len(film) - 1
        first = round(number_of(film[0]))
        found = [round(number_of(frame)) for frame in episode.observations]
        assert found == list(range(first, first + steps + 1))
        # The action of row t follows frame t; the last row's led to a frame that is not there.
        np.testing.assert_array_equal(episode.actions, [(t, -t) for t in range(steps)])
        np.testing.assert_array_equal(episode.rewards, np.arange(steps))
        assert (episode.attributes["task"], episode.attributes["simulator"]) == ("lift", "arm")
    assert validate(tmp_path / "set").ok


@BOTH
def test_a_published_split_stays(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "src", [moving_square(4)] * 3)
    edit(tmp_path / "src", splits={"train": "0:2", "val": "2:3"})
    splits = [source.split for source in make_importer("lerobot", tmp_path / "src").sources()]
    assert splits == ["train", "train", "validation"]


@BOTH
def test_paths_out_of_the_set_are_refused(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "src", [moving_square(4)])
    edit(tmp_path / "src", data_path="../../secret-{episode_index}.parquet")
    with pytest.raises(InputError, match=r"\.\./\.\./secret.*outside the data set"):
        make_importer("lerobot", tmp_path / "src").sources()


@BOTH
def test_a_missing_video_is_named(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "src", [moving_square(4)])
    (video,) = (tmp_path / "src").rglob("*.mp4")
    video.unlink()
    with pytest.raises(InputError, match=video.name):
        import_set(make_importer("lerobot", tmp_path / "src"), tmp_path / "set", shares=NONE,
                   progress=False)  # fmt: skip
    assert not (tmp_path / "set" / "data").exists()


@BOTH
def test_a_video_that_is_too_short_is_named(tmp_path: Path, write: Write) -> None:
    from published_sets import write_film

    write(tmp_path / "src", [moving_square(9)])
    (video,) = (tmp_path / "src").rglob("*.mp4")
    write_film(video, moving_square(5), 10)
    with pytest.raises(InputError, match="has 9 rows and 5 frames, expected 9 of both"):
        import_set(make_importer("lerobot", tmp_path / "src"), tmp_path / "set", shares=NONE,
                   progress=False)  # fmt: skip


def test_sets_that_are_none_or_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no LeRobot data set"):
        make_importer("lerobot", tmp_path).sources()
    src = tmp_path / "old"
    write_lerobot_2(src, [moving_square(4)])
    edit(src, codebase_version="v1.6")
    with pytest.raises(InputError, match=r"of version 1\.6: convert it"):
        make_importer("lerobot", src).sources()
    src = tmp_path / "passive"
    write_lerobot_2(src, [moving_square(4)])
    edit(src, features={"eye": {"dtype": "video", "shape": [48, 64, 3]}})
    with pytest.raises(InputError, match="has no actions"):
        make_importer("lerobot", src).sources()
    src = tmp_path / "broken"
    write_lerobot_2(src, [moving_square(4)])
    (src / "meta" / "episodes.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"meta cannot be read \(KeyError"):
        make_importer("lerobot", src).sources()
    src = tmp_path / "cameras"
    write_lerobot_2(src, [moving_square(4)])
    with pytest.raises(InputError, match="has the cameras eye: give one of them as --camera"):
        make_importer("lerobot", src, camera="ear").sources()
