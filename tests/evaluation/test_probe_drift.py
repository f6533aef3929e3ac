"""Drift of films whose fate is known: the recording, a frozen frame, noise."""

from pathlib import Path

import numpy as np
import panorama
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import CopyLast
from worldmodel_env.evaluation.probes.drift import drive, run_drift
from worldmodel_env.evaluation.probes.drift_measure import Tokens, measure, measure_recorded
from worldmodel_env.evaluation.probes.drift_section import drift_section
from worldmodel_env.evaluation.probes.frame_measures import entropy, motion, sharpness

CONTEXT = 5


@pytest.fixture(scope="module")
def walks() -> panorama.Clips:
    return panorama.make_clips(4, 60, seed=9)


def brightness(frames: np.ndarray) -> np.ndarray:
    """A tokenizer of four codes: how bright each quarter of a frame is."""
    quarters = frames.reshape(len(frames), 2, 16, 2, 16, 3).mean((2, 4, 5))
    return (quarters // 64).astype(np.int64)


TOKENS = Tokens(brightness, codes=4, batch=8)


def test_recorded_frames_are_found_in_their_own_map_and_noise_in_none() -> None:
    walks = panorama.make_clips(4, 240, seed=9)  # long enough to come by most places twice
    rows = np.arange(len(walks))
    film = walks.frames[:, CONTEXT:]
    true = measure(walks, rows, film, CONTEXT, None, 0).values
    assert true["recognised"].mean() > 0.6
    other = measure(walks, np.roll(rows, 1), film, CONTEXT, None, 0).values
    assert other["recognised"].mean() < 0.25
    noise = np.random.default_rng(0).integers(0, 256, film.shape).astype(np.uint8)
    lost = measure(walks, rows, noise, CONTEXT, None, 0).values
    assert lost["sharpness"].mean() > 2 * true["sharpness"].mean()
    assert lost["own"].mean() > true["own"].mean() + 0.1


def test_a_frozen_frame_is_told_by_its_motion(walks: panorama.Clips, tmp_path: Path) -> None:
    found = run_drift(CopyLast(3), walks, CONTEXT, 200, tokens=TOKENS, cache=tmp_path, key="x")
    assert found.values["motion"].shape == (4, 200)
    assert found.values["motion"].max() == 0
    assert found.values["frozen"].min() == 1
    recorded = measure_recorded(walks, 200, 4, TOKENS, 0)
    assert recorded.values["frozen"].mean() < 0.5
    assert found.counts is not None
    assert found.counts.sum(1).tolist() == [4 * 4 * n for n in (1, 4, 5, 15, 25, 50, 100)]
    section = drift_section(found, recorded, {})
    charts = {chart.title: chart for chart in section.charts}
    imagined, real = charts["motion (mean absolute difference)"].lines
    assert set(imagined.mean) == {0.0}
    assert real.mean[0] > 0
    assert "entropy of the codes (bits)" in charts


def test_what_was_measured_is_not_imagined_again(walks: panorama.Clips, tmp_path: Path) -> None:
    class Counting(CopyLast):
        calls = 0

        def predict(self, *arguments):
            self.calls += 1
            return super().predict(*arguments)

    def run(predictor: CopyLast, key: str = "x"):
        return run_drift(predictor, walks, CONTEXT, 20, tokens=None, cache=tmp_path, key=key)

    first, again, other = Counting(2), Counting(2), Counting(2)
    found = run(first)
    (tmp_path / "part-00002.npz").unlink()  # as if it had been killed before
    second = run(again)
    assert (first.calls, again.calls) == (2, 1)
    for name, values in found.values.items():
        np.testing.assert_array_equal(values, second.values[name])
    run(other, key="another world")
    assert other.calls == 2


def test_actions_go_on_with_those_of_other_walks(walks: panorama.Clips) -> None:
    actions = drive(walks, 150)
    assert actions.shape == (4, 149)
    np.testing.assert_array_equal(actions[:, :59], walks.actions)
    np.testing.assert_array_equal(actions[0, 59:118], walks.actions[1])
    np.testing.assert_array_equal(drive(walks, 20), walks.actions[:, :19])


def test_one_map_alone_is_refused(walks: panorama.Clips, tmp_path: Path) -> None:
    alone = walks.rows(slice(0, 1))
    with pytest.raises(InputError, match="one map"):
        run_drift(CopyLast(), alone, CONTEXT, 9, tokens=None, cache=tmp_path, key="x")


def test_measures_of_frames() -> None:
    flat = np.full((2, 8, 8, 3), 90, np.uint8)
    board = (np.indices((8, 8)).sum(0) % 2 * 255).astype(np.uint8)[None, :, :, None]
    board = board.repeat(3, -1).repeat(2, 0)
    assert sharpness(flat).tolist() == [0, 0]
    np.testing.assert_allclose(sharpness(board), 4, rtol=1e-5)
    np.testing.assert_allclose(motion(board, 255 - board), 1)
    assert entropy(np.array([5, 5, 5, 5])) == 2
    assert entropy(np.array([7, 0, 0])) == 0
