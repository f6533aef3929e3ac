"""Returns inside short clips, and what a predictor shows there."""

from pathlib import Path

import numpy as np
import pytest
import toy_env

from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.benchmark_revisit import Revisits, find_revisits
from worldmodel_env.evaluation.predictor import CopyLast
from worldmodel_env.evaluation.probes.returns import Tolerance

CONTEXT, LENGTH, LAGS = 10, 20, (9, 19)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> TrajectoryDataset:
    root = tmp_path_factory.mktemp("walks") / "set"
    record(
        toy_env.ID, root, episodes=1, test=12, policy="random", progress=False,
        env_kwargs={"task": "wander"},
    )  # fmt: skip
    return TrajectoryDataset.open(root)


def search(walks: TrajectoryDataset, most: int = 100, lags: tuple[int, int] = LAGS) -> Revisits:
    return find_revisits(walks, "test", CONTEXT, LENGTH, lags, Tolerance(2.0), most)


def test_first_visits_lie_in_the_context_and_returns_behind_it(walks: TrajectoryDataset) -> None:
    found = search(walks)
    events, clips = found.events, found.clips
    assert len(events) >= len(clips) > 1
    assert set(events.episode) == set(range(len(clips)))
    assert (events.then < CONTEXT).all()
    assert (events.now >= CONTEXT).all()
    assert ((events.lag >= LAGS[0]) & (events.lag <= LAGS[1])).all()
    assert clips.frames.shape[:2] == (len(clips), LENGTH)
    assert clips.actions.shape == (len(clips), LENGTH - 1)
    assert len(set(clips.seeds)) == len(clips)
    pose = clips.pose
    there, here = pose[events.episode, events.then], pose[events.episode, events.now]
    assert (np.hypot(*(there - here)[:, :2].T) <= 2.0).all()
    assert len(search(walks, most=1).clips) == 1


def test_who_shows_the_simulators_frames_reaches_the_ceiling(walks: TrajectoryDataset) -> None:
    found = search(walks)

    class Oracle(CopyLast):
        def predict(self, frames, actions, horizon, seeds):
            rows = [int(np.flatnonzero(found.clips.seeds == s)[0]) for s in seeds]
            return found.clips.frames[rows, CONTEXT : CONTEXT + horizon]

    ceiling = found.ceiling(None)
    assert found.measure(Oracle(), None, seed=0) == ceiling
    assert found.measure(CopyLast(), None, seed=0)["revisit PSNR"] < ceiling["revisit PSNR"]


def test_no_return_is_refused(walks: TrajectoryDataset) -> None:
    with pytest.raises(InputError, match=r"no return after 900 to 950 frames in test clips of 20"):
        search(walks, lags=(900, 950))


def test_episodes_without_poses_are_refused(toy_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = TrajectoryDataset.open(toy_set)
    read = dataset.read

    def blind(*arguments: object) -> object:
        episode = read(*arguments)
        return type(episode)(**{**vars(episode), "pose": None})

    monkeypatch.setattr(TrajectoryDataset, "read", lambda self, *arguments: blind(*arguments))
    with pytest.raises(InputError, match="episodes without poses"):
        search(dataset)
