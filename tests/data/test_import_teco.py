"""The paper's sets come in with each action between the right two frames."""

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from published_sets import write_dmlab, write_film, write_minecraft

from worldmodel_env import cli
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.importers.formats import make_importer
from worldmodel_env.data.importers.run import import_set
from worldmodel_env.data.importers.splits import Shares
from worldmodel_env.data.validate import validate
from worldmodel_env.errors import InputError

NONE = Shares(validation=0, test=0)


@pytest.fixture(scope="module")
def walks() -> list[Episode]:
    """Two walks in the maze: real frames, left is 0, right 1, forward 2; all steps at random."""
    pytest.importorskip("vizdoom")
    import simulators  # noqa: F401  (registers SimMaze-v0)

    env = gymnasium.make("SimMaze-v0")
    found = [walk(env, seed) for seed in range(2)]
    env.close()
    return found


def walk(env: gymnasium.Env, seed: int, steps: int = 120) -> Episode:
    actions = np.random.default_rng(seed).choice(3, steps, p=[0.4, 0.4, 0.2])
    frame, info = env.reset(seed=seed)
    frames, poses = [frame.copy()], [info["pose"]]
    for action in actions:
        frame, _, _, _, info = env.step(action)
        frames.append(frame.copy())
        poses.append(info["pose"])
    zeros = np.zeros(steps)
    return Episode(np.stack(frames), actions, zeros.astype(np.float32), zeros.astype(bool),
                   zeros.astype(bool), np.array(poses, np.float32))  # fmt: skip


def agreement(frames: np.ndarray, actions: np.ndarray, left: int, right: int) -> float:
    """Share of turns after which the image moved the other way, as it must."""
    turns = np.flatnonzero((actions == left) | (actions == right))
    shifts = np.array([image_shift(frames[t], frames[t + 1]) for t in turns])
    expected = np.where(actions[turns] == left, 1, -1)
    return float((np.sign(shifts) == expected).mean())


def image_shift(before: np.ndarray, after: np.ndarray) -> int:
    """By how many pixels to the right an image moved."""
    a, b = before.mean(-1), after.mean(-1)
    width = a.shape[1]
    shifts = [s for s in range(-24, 25) if s]

    def error(s: int) -> float:
        return float(
            np.abs(
                a[:, max(0, -s) : width - max(0, s)] - b[:, max(0, s) :][:, : width - abs(s)]
            ).mean()
        )

    return min(shifts, key=error)


def read_only(root: Path) -> Episode:
    dataset = TrajectoryDataset.open(root)
    (ref,) = dataset.episodes()
    return dataset.read(ref)


def test_dmlab_actions_follow_their_frames(walks: list[Episode], tmp_path: Path) -> None:
    walk = walks[0]
    write_dmlab(tmp_path / "src", {"train/0/0.npz": walk})
    importer = make_importer("teco-dmlab", tmp_path / "src")
    import_set(importer, tmp_path / "set", shares=NONE, progress=False)
    episode = read_only(tmp_path / "set")

    right = agreement(episode.observations, episode.actions, 0, 1)
    assert right >= 0.9
    # With the action one frame off, in either direction, it would not.
    frames, actions = episode.observations, episode.actions
    assert right > agreement(frames[:-1], actions[1:], 0, 1) + 0.15
    assert right > agreement(frames[1:], actions[:-1], 0, 1) + 0.15
    np.testing.assert_array_equal(actions, walk.actions[:-1])  # the last led to no stored frame
    np.testing.assert_array_equal(frames, walk.observations[:-1])
    np.testing.assert_array_equal(episode.pose, walk.pose[:-1])


@pytest.mark.parametrize("format", ["teco-minecraft", "teco-habitat"])
def test_actions_that_led_to_their_frames_move_one_ahead(
    walks: list[Episode], tmp_path: Path, format: str
) -> None:
    walk = walks[1]
    write_minecraft(tmp_path / "src", {"train/3/000007": walk})
    import_set(make_importer(format, tmp_path / "src"), tmp_path / "set", shares=NONE,
               progress=False)  # fmt: skip
    episode = read_only(tmp_path / "set")

    right = agreement(episode.observations, episode.actions, 1, 2)
    assert right >= 0.9
    assert right > agreement(episode.observations[:-1], episode.actions[1:], 1, 2) + 0.15
    assert right > agreement(episode.observations[1:], episode.actions[:-1], 1, 2) + 0.15
    # Forward is 0 here, left 1, right 2; the dummy is gone, and all frames are there.
    np.testing.assert_array_equal(episode.actions, np.array([1, 2, 0])[walk.actions])
    difference = np.abs(episode.observations.astype(int) - walk.observations)
    assert difference.mean() < 2  # the video is lossy


def test_one_file_as_published(walks: list[Episode], tmp_path: Path) -> None:
    write_dmlab(tmp_path, {"5.npz": walks[0]})
    importer = make_importer("teco-dmlab", tmp_path / "5.npz", resolution=32)
    import_set(importer, tmp_path / "set", shares=NONE, progress=False)
    assert read_only(tmp_path / "set").observations.shape[1:] == (32, 32, 3)


def test_published_split_stays_and_validation_is_drawn_from_train(tmp_path: Path) -> None:
    names = [f"train/{w}/{n}.npz" for w in range(2) for n in (2, 10)] + ["test/0/0.npz"]
    for name in names:
        save(tmp_path / "src" / name)
    importer = make_importer("teco-dmlab", tmp_path / "src")
    import_set(importer, tmp_path / "set", progress=False)
    dataset = TrajectoryDataset.open(tmp_path / "set")
    found = {
        split: [dataset.read(ref).attributes["source"] for ref in dataset.episodes(split)]
        for split in ("train", "validation", "test")
    }
    assert found["test"] == ["test/0/0.npz"]
    assert len(found["validation"]) == 1
    assert sorted(found["train"] + found["validation"]) == sorted(names[:-1])
    assert [len(found["train"]), dataset.episodes("train")[0].seed] == [3, 0]
    assert validate(tmp_path / "set").ok


def save(path: Path, frames: int = 6, **arrays: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "video": np.zeros((frames, 16, 16, 3), np.uint8),
        "actions": np.arange(frames) % 3,
        **arrays,
    }
    np.savez(path, **{name: array for name, array in content.items() if array is not None})


BAD = {
    "no 'actions'": {"actions": None},
    "no 'video'": {"video": None},
    r"'video' is float32 .* expected uint8": {"video": np.zeros((6, 16, 16, 3), np.float32)},
    r"'video' is uint8 \(6, 16, 16\)": {"video": np.zeros((6, 16, 16), np.uint8)},
    r"'actions' is float64 .* expected integers": {"actions": np.zeros(6)},
    r"'actions' is int64 \(5,\)": {"actions": np.zeros(5, np.int64)},
    "action 7 leads to frame 3, expected one of 0, 1, 2": {"actions": np.array([0, 1, 7, 0, 0, 0])},
    "pose of frame 2 is not finite": {
        "pose": np.where(np.arange(18) == 7, np.nan, 0).reshape(6, 3)
    },
    r"pose is float32 \(6, 2\)": {"pose": np.zeros((6, 2))},
    "'actions' holds pickled objects, which are refused": {"actions": np.array([{}] * 6)},
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_are_named_and_nothing_is_written(tmp_path: Path, message: str) -> None:
    save(tmp_path / "src/train/0/0.npz")
    save(tmp_path / "src/train/0/1.npz", **BAD[message])
    with pytest.raises(InputError, match=message) as error:
        import_set(make_importer("teco-dmlab", tmp_path / "src"), tmp_path / "set", shares=NONE,
                   progress=False)  # fmt: skip
    assert "train/0/1.npz" in str(error.value)
    assert not (tmp_path / "set" / "data").exists()


def test_files_that_are_no_archives_are_refused(tmp_path: Path) -> None:
    import pickle

    for number, content in enumerate((b"", b"PK\x03\x04 cut off", pickle.dumps({"a": 1}))):
        path = tmp_path / str(number) / "train" / "0.npz"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"0\.npz"):
            import_set(make_importer("teco-dmlab", tmp_path / str(number)), tmp_path / "set",
                       shares=NONE, progress=False)  # fmt: skip


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    save(tmp_path / "src/0.npz")
    path = tmp_path / "src/0.npz"
    content = bytearray(path.read_bytes())
    content[200:260] = b"x" * 60
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"0\.npz"):
        import_set(make_importer("teco-dmlab", tmp_path / "src"), tmp_path / "set", shares=NONE,
                   progress=False)  # fmt: skip


def test_a_video_without_its_actions_is_named(tmp_path: Path) -> None:
    write_film(tmp_path / "src/train/0/000001.mp4", np.zeros((5, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match=r"000001\.mp4 has no 000001\.npz with its actions"):
        import_set(make_importer("teco-minecraft", tmp_path / "src"), tmp_path / "set",
                   shares=NONE, progress=False)  # fmt: skip


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no \.npz and no \.mp4"):
        make_importer("teco-dmlab", tmp_path).sources()
    with pytest.raises(InputError, match="is no folder"):
        make_importer("teco-dmlab", tmp_path / "none").sources()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        save(tmp_path / "src" / "train" / "0" / f"{number}.npz")
    words = ["data", "import", str(tmp_path / "src"), str(tmp_path / "set")]
    cli.main([*words, "--format", "teco-dmlab", "--resolution", "8", "--seed", "50"])
    assert "imported 2 train, 1 validation episodes" in capsys.readouterr().out
    dataset = TrajectoryDataset.open(tmp_path / "set")
    assert [ref.seed for ref in dataset.episodes("train")] == [50, 51]
    with pytest.raises(SystemExit) as end:
        cli.main([*words, "--format", "teco-dmlab", "--rate", "5"])
    assert end.value.code == 2
    assert "error: --rate 5.0 is for video-folder, not for teco-dmlab" in capsys.readouterr().err
