"""Which parts the protocol has for which data, and which episodes it takes."""

from pathlib import Path

import gymnasium
import pytest

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.protocol import (
    FILM,
    PREDICTION,
    Part,
    choose_episodes,
    clip_protocol,
    teco_protocol,
)


@pytest.fixture
def dataset(toy_set: Path) -> TrajectoryDataset:
    return TrajectoryDataset.open(toy_set)


def of(dataset: TrajectoryDataset, simulator: str) -> TrajectoryDataset:
    dataset.metadata["simulators"] = [simulator]
    return dataset


@pytest.mark.parametrize(
    ("simulator", "told"),
    [
        ("SimDMLab-v0", False),
        ("SimHabitat-v0", False),
        ("SimMinecraft-v0", True),
        ("SimMaze-v0", True),
    ],
)
def test_published_lengths_and_actions(dataset, simulator: str, told: bool) -> None:
    frames, film = teco_protocol(of(dataset, simulator))
    assert (frames.name, frames.context, frames.horizon) == (PREDICTION, 144, 156)
    assert frames.actions
    assert (frames.frames, frames.film) == (True, False)
    assert (film.name, film.context, film.horizon) == (FILM, 36, 264)
    assert film.actions == told
    assert (film.frames, film.film) == (False, True)
    assert frames.length == film.length == 300


def test_films_may_be_left_out_or_told_otherwise(dataset) -> None:
    assert [part.name for part in teco_protocol(dataset, film=False)] == [PREDICTION]
    assert not teco_protocol(dataset, film_actions="without")[1].actions
    assert teco_protocol(of(dataset, "SimDMLab-v0"), film_actions="with")[1].actions


def test_clips_without_actions_are_predicted_from_twenty_frames(dataset) -> None:
    dataset.action_space = gymnasium.spaces.Discrete(1)
    (part,) = teco_protocol(dataset)
    assert (part.context, part.horizon) == (20, 80)
    assert (part.actions, part.frames, part.film) == (False, True, True)
    assert not clip_protocol(dataset, 3, 4)[0].actions


def test_the_first_long_episodes_are_taken(dataset) -> None:
    long = [r for r in dataset.episodes("train") if r.total_steps + 1 >= 41]
    assert choose_episodes(dataset, "train", 41, 2) == long[:2]
    assert choose_episodes(dataset, "train", 41, 99) == long
    with pytest.raises(InputError, match="no test episode of 300 frames"):
        choose_episodes(dataset, "test", 300, 2)
    with pytest.raises(InputError, match="episodes is 0"):
        choose_episodes(dataset, "test", 3, 0)


@pytest.mark.parametrize(("context", "horizon"), [(0, 5), (5, 0)])
def test_parts_have_something_to_predict_from_and_something_to_predict(context, horizon) -> None:
    with pytest.raises(InputError, match="leave nothing"):
        Part(PREDICTION, context, horizon)
