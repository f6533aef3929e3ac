"""Folders of videos come in at a rate, a length and a resolution."""

import struct
from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from published_sets import moving_square, number_of, write_film

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.importers.formats import make_importer
from worldmodel_env.data.importers.run import import_set
from worldmodel_env.data.importers.splits import Shares
from worldmodel_env.data.importers.video import duration, read_video
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

NONE = Shares(validation=0, test=0)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 numbered frames at 20 a second."""
    path = tmp_path_factory.mktemp("films") / "a.mp4"
    write_film(path, moving_square(60))
    return path


def numbers(frames: np.ndarray) -> list[int]:
    return [round(number_of(frame)) for frame in frames]


def test_every_frame_and_its_size(film: Path) -> None:
    frames = read_video(film)
    assert frames.shape == (60, 48, 64, 3)
    assert numbers(frames) == list(range(60))
    assert duration(film) == pytest.approx(3.0)


@pytest.mark.parametrize(("rate", "every"), [(10, 2), (5, 4), (20, 1), (4, 5)])
def test_a_rate_takes_the_frames_shown_at_its_times(film: Path, rate: float, every: int) -> None:
    assert numbers(read_video(film, rate=rate)) == list(range(0, 60, every))


def test_a_higher_rate_repeats_frames(film: Path) -> None:
    assert numbers(read_video(film, rate=40, frames=8)) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_part_begins_at_its_time(film: Path) -> None:
    assert numbers(read_video(film, rate=10, start=1.5, frames=4)) == [30, 32, 34, 36]
    assert numbers(read_video(film, start=2.8)) == [56, 57, 58, 59]


def test_the_middle_square_is_resized(film: Path) -> None:
    frames = read_video(film, resolution=24, frames=3)
    assert frames.shape == (3, 24, 24, 3)
    assert numbers(frames) == [0, 1, 2]
    assert frames[0, 12, 2].mean() < 30 < frames[0, 12, 7].mean()  # the square begins at 6


def test_films_of_turned_phones_stand_upright(tmp_path: Path) -> None:
    frames = np.zeros((3, 32, 64, 3), np.uint8)
    frames[:, :8, :8] = 255
    path = tmp_path / "a.mp4"
    write_film(path, frames)
    content = bytearray(path.read_bytes())
    upright = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    clockwise = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    begin = content.find(upright, content.find(b"tkhd"))
    content[begin : begin + 36] = clockwise
    path.write_bytes(content)
    shown = read_video(path)
    assert shown.shape == (3, 64, 32, 3)
    assert shown[:, :8, -8:].mean() > 250  # the white corner is now on the right


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9"])
def test_other_codecs_and_containers(tmp_path: Path, codec: str) -> None:
    path = tmp_path / ("a.avi" if codec == "mpeg4" else "a.webm")
    write_film(path, moving_square(30), 25, codec)
    frames = read_video(path)
    assert frames.shape == (30, 48, 64, 3)
    np.testing.assert_array_equal(read_video(path, rate=5), frames[::5])


def test_videos_are_cut_and_parts_stay_in_one_split(tmp_path: Path) -> None:
    for number in range(4):
        write_film(tmp_path / "src" / "jump" / f"{number}.mp4", moving_square(50, 32, 32))
    importer = make_importer("video-folder", tmp_path / "src", rate=10, length=9)
    import_set(importer, tmp_path / "set", shares=Shares(0.25, 0.25), progress=False)
    dataset = TrajectoryDataset.open(tmp_path / "set")
    split: dict[str, set[str]] = {}
    for ref in dataset.episodes():
        episode = dataset.read(ref)
        name, _, part = episode.attributes["source"].partition("#")
        split.setdefault(name, set()).add(ref.split)
        assert ref.total_steps == 8
        first = 16 * int(part or 0)  # parts share a frame
        assert numbers(episode.observations) == list(range(first, first + 17, 2))
        assert episode.truncations[-1]
        assert not episode.actions.any()
    assert all(len(splits) == 1 for splits in split.values())
    assert sorted(next(iter(s)) for s in split.values()) == ["test", "train", "train", "validation"]
    assert dataset.action_space == spaces.Discrete(1)
    assert validate(tmp_path / "set").ok


def test_mixed_resolutions_are_refused_and_then_resized(tmp_path: Path) -> None:
    src, out = tmp_path / "src", tmp_path / "set"
    write_film(src / "train/a.mp4", moving_square(5, 32, 32))
    write_film(src / "train/b.mp4", moving_square(5, 48, 64))
    with pytest.raises(InputError, match=r"b\.mp4 has frames of 48 x 64 pixels but train/a\.mp4"):
        import_set(make_importer("video-folder", src), out, shares=NONE, progress=False)
    assert not (out / "data").exists()
    importer = make_importer("video-folder", src, resolution=32)
    summary = import_set(importer, out, shares=NONE, progress=False)
    assert summary.imported == {"train": 2}
    assert TrajectoryDataset.open(out).observation_space.shape == (32, 32, 3)


def damaged(path: Path, how: str) -> None:
    write_film(path, moving_square(40))
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "overwritten":
        content[len(content) // 3 : len(content) // 2] = b"\x55" * (
            len(content) // 2 - len(content) // 3
        )
    else:
        content = bytearray(b"this is no video")
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["cut", "overwritten", "text"])
def test_a_video_that_does_not_decode_is_named(tmp_path: Path, how: str) -> None:
    damaged(tmp_path / "src/train/bad.mp4", how)
    with pytest.raises(InputError, match=r"bad\.mp4 does not (open|decode)"):
        import_set(make_importer("video-folder", tmp_path / "src"), tmp_path / "set", shares=NONE,
                   progress=False)  # fmt: skip
    assert not (tmp_path / "set/data").exists()


def test_bad_videos_are_left_out_on_request(tmp_path: Path) -> None:
    write_film(tmp_path / "src/good.mp4", moving_square(5))
    damaged(tmp_path / "src/bad.mp4", "text")
    importer = make_importer("video-folder", tmp_path / "src", rate=10, length=2)
    summary = import_set(importer, tmp_path / "set", shares=NONE, skip_bad=True, progress=False)
    assert list(summary.bad) == ["bad.mp4"]
    assert "bad.mp4 does not open" in str(summary)
    again = import_set(importer, tmp_path / "set", shares=NONE, skip_bad=True, progress=False)
    assert (again.imported, list(again.bad)) == ({}, ["bad.mp4"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "--rate is 0"),
        ({"rate": 5.0, "length": 1}, "--length is 1"),
        ({"length": 8}, "--length 8 needs --rate"),
        ({"resolution": 0}, "--resolution is 0"),
        ({"camera": "left"}, "--camera left is for minari and lerobot, not for video-folder"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_importer("video-folder", tmp_path, **options)


def test_a_folder_without_videos(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no videos"):
        make_importer("video-folder", tmp_path).sources()
