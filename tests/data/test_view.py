"""Contact sheets and films show what was recorded."""

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from worldmodel_env import cli
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.view import film, ink, sheet
from worldmodel_env.data.view.choose import choose
from worldmodel_env.data.view.panels import action_rows, draw_map, draw_timeline
from worldmodel_env.errors import InputError


def walk(actions: np.ndarray, pose: np.ndarray | None, reward: int | None = None) -> Episode:
    steps = len(actions)
    rewards = np.zeros(steps, np.float32)
    if reward is not None:
        rewards[reward] = 1
    return Episode(np.zeros((steps + 1, 8, 8, 3), np.uint8), actions, rewards,
                   np.zeros(steps, bool), np.zeros(steps, bool), pose)  # fmt: skip


def coloured(picture, colour: ink.Colour) -> np.ndarray:
    """Where a picture has about this colour: (n, 2) rows and columns."""
    return np.argwhere(np.abs(np.asarray(picture).astype(int) - colour).max(-1) < 40)


def test_a_sheet_shows_the_frames_themselves(toy_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    cli.main(["data", "view", str(toy_set), "--out", str(out), "--episodes", "2", "--columns", "3"])
    picture = np.asarray(Image.open(out))
    dataset = TrajectoryDataset.open(toy_set)
    first, last = choose(dataset, None, 2)
    assert (first.split, last.split) == ("train", "test")
    frames = dataset.read(first).observations
    scale = sheet.SIDE // 32
    top, left = sheet.GAP + sheet.HEAD, sheet.GAP
    for column, number in enumerate((0, round(first.total_steps / 2), first.total_steps)):
        x = left + column * (sheet.SIDE + sheet.GAP)
        shown = picture[top : top + sheet.SIDE : scale, x : x + sheet.SIDE : scale]
        np.testing.assert_array_equal(shown, frames[number])


def test_a_film_has_a_picture_per_frame(toy_set: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    out = tmp_path / "film.mp4"
    cli.main(["data", "view", str(toy_set), "--out", str(out), "--seeds", "1000001"])
    dataset = TrajectoryDataset.open(toy_set)
    (ref,) = choose(dataset, "validation", 1, [1_000_001])
    with av.open(str(out)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(pictures) == ref.total_steps + 1
    middle = film.HEAD + film.VIEW // 2, film.GAP + film.VIEW // 2
    frames = dataset.read(ref).observations
    for picture, frame in zip(pictures, frames, strict=True):
        assert np.abs(picture[middle].astype(int) - frame[16, 16]).max() < 40


def test_the_map_has_north_above_and_marks_rewards() -> None:
    pose = np.array([[0, 0, 90], [0, 10, 90], [0, 20, 0], [10, 20, 0]], np.float32)
    episode = walk(np.array([0, 1, 0]), pose, reward=2)
    ((row, column),) = [coloured(draw_map(episode, 100), ink.GOLD).mean(0)]
    assert row < 50 < column  # the reward was in the north-east
    early = coloured(draw_map(episode, 100, now=0), ink.TEXT).mean(0)
    assert early[0] > 50 > early[1]  # the walk began in the south-west
    assert not len(coloured(draw_map(episode, 100, now=2), ink.GOLD))  # not yet


def test_an_episode_without_poses_has_no_way() -> None:
    assert not len(coloured(draw_map(walk(np.array([0, 0]), None), 100), ink.WAY))


def test_the_timeline_has_a_colour_per_action_and_the_reward_where_it_was() -> None:
    episode = walk(np.array([0, 0, 1, 1]), None, reward=3)
    line = np.asarray(draw_timeline(episode, 40, 16))
    assert tuple(line[12, 5]) == ink.action_colour(0)
    assert tuple(line[12, 35]) == ink.action_colour(1)
    assert coloured(line, ink.GOLD)[:, 1].min() >= 37


@pytest.mark.parametrize(
    ("actions", "rows"),
    [
        (np.array([0, 1, 9]), 1),
        (np.array([[0, 1], [2, 0]]), 2),
        (np.array([[0.5, -1.0, 0.0]], np.float32), 3),
    ],
)
def test_every_kind_of_action_is_drawn(actions: np.ndarray, rows: int) -> None:
    assert action_rows(actions).shape == (rows, len(actions), 3)
    assert sheet.action_text(actions[0])


def test_box_actions_end_to_end(tmp_path: Path) -> None:
    import toy_env

    from simulators.recorder import record

    record(toy_env.ID, tmp_path / "set", episodes=1, policy="random", progress=False,
           env_kwargs={"action": "box"})  # fmt: skip
    dataset = TrajectoryDataset.open(tmp_path / "set")
    assert isinstance(dataset.action_space, spaces.Box)
    sheet.save_sheet(tmp_path / "a.png", dataset, dataset.episodes())
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_bad_requests(toy_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = TrajectoryDataset.open(toy_set)
    with pytest.raises(InputError, match="no episode of seed 77"):
        choose(dataset, None, 1, [77])
    with pytest.raises(InputError, match="--episodes is 0"):
        choose(dataset, None, 0)
    with pytest.raises(InputError, match="--columns is 1"):
        sheet.save_sheet(tmp_path / "a.png", dataset, dataset.episodes(), 1)
    with pytest.raises(SystemExit):
        cli.main(["data", "view", str(toy_set), "--out", str(tmp_path / "a.gif")])
    assert "ends in .png or .mp4" in capsys.readouterr().err
