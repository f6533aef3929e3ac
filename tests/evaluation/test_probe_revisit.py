"""Revisits in walks whose returns are known, under predictors whose memory is known."""

import dataclasses

import numpy as np
import panorama
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.returns import Tolerance, find_returns
from worldmodel_env.evaluation.probes.revisit import probe_revisits
from worldmodel_env.evaluation.probes.rollout import Rollout
from worldmodel_env.evaluation.report import Section

CONTEXT = 28
TOLERANCE = Tolerance(1.0, 5.0, 4)


@pytest.fixture(scope="module")
def walks() -> panorama.Clips:
    return panorama.make_clips(24, 60, seed=3, there_and_back=True)


def poses(*rows: tuple[float, float, float]) -> np.ndarray:
    return np.array([rows], np.float32)


def number(section: Section, name: str) -> float:
    value = section.numbers[name].value
    assert value is not None
    return value


def test_a_return_is_found_once_and_beside_the_nearest_frame_of_the_first_stay() -> None:
    away = [(100.0 * i, 0.0, 0.0) for i in range(1, 6)]
    back = poses((0, 0, 0), (0.5, 0, 0), *away, (0.6, 0, 0), (0.6, 0, 0))
    found = find_returns(back, TOLERANCE)
    assert (found.then.tolist(), found.now.tolist()) == ([1], [7])
    assert found.lag.tolist() == [6]


def test_headings_wrap_round_and_other_headings_do_not_count() -> None:
    away = [(100.0 * i, 0.0, 0.0) for i in range(1, 6)]
    assert len(find_returns(poses((0, 0, 359), *away, (0, 0, 2)), TOLERANCE)) == 1
    assert len(find_returns(poses((0, 0, 0), *away, (0, 0, 90)), TOLERANCE)) == 0


def test_what_was_seen_in_between_or_just_now_is_no_return() -> None:
    away = [(100.0 * i, 0.0, 0.0) for i in range(1, 6)]
    twice = poses((0, 0, 0), *away, (0, 0, 0), *away[::-1], (0, 0, 0))
    found = find_returns(twice, TOLERANCE)
    # The outward poses are passed again on the second way; the start only once "unseen since".
    assert [(t, n) for t, n in zip(found.then, found.now, strict=True) if t == 0] == [(0, 6)]
    assert len(find_returns(poses((0, 0, 0), *away[:2], (0, 0, 0)), TOLERANCE)) == 0


def test_the_truth_gets_the_ceiling(walks: panorama.Clips) -> None:
    rollout = Rollout("truth", walks, CONTEXT, walks.frames[:, CONTEXT:])
    section = probe_revisits(rollout, TOLERANCE)
    assert section.details["events"] > 60
    assert number(section, "LPIPS, remembered") == 0
    assert number(section, "closeness, remembered") == 1
    assert number(section, "PSNR, remembered") == 100


def test_a_frozen_frame_is_at_chance(walks: panorama.Clips) -> None:
    last = walks.frames[:, CONTEXT - 1 : CONTEXT]
    frozen = np.broadcast_to(last, walks.frames[:, CONTEXT:].shape)
    section = probe_revisits(Rollout("frozen", walks, CONTEXT, frozen), TOLERANCE)
    assert number(section, "closeness, remembered") < 0.15
    assert number(section, "LPIPS, remembered") > 0.1


def test_dreams_of_another_map_are_at_chance_but_agree_with_themselves() -> None:
    walks = panorama.make_clips(12, 90, seed=4, there_and_back=True)
    stranger = np.roll(walks.frames, 1, axis=0)[:, 12:]
    section = probe_revisits(Rollout("lost", walks, 12, stranger), TOLERANCE)
    assert abs(number(section, "closeness, remembered")) < 0.2
    own = walks.frames[:, 12:] // 2  # as consistent as the simulator, and wrong everywhere
    section = probe_revisits(Rollout("dark", walks, 12, own), TOLERANCE)
    assert number(section, "closeness, own") == 1
    assert number(section, "closeness, remembered") < 1


def test_recordings_without_poses_or_returns_are_refused(walks: panorama.Clips) -> None:
    blind = dataclasses.replace(walks, pose=None)
    with pytest.raises(InputError, match="poses"):
        probe_revisits(Rollout("x", blind, CONTEXT, walks.frames[:, CONTEXT:]), TOLERANCE)
    rollout = Rollout("x", walks, CONTEXT, walks.frames[:, CONTEXT:])
    with pytest.raises(InputError, match="out-and-back"):
        probe_revisits(rollout, Tolerance(1.0, 5.0, away=59))
    with pytest.raises(InputError, match="imagined"):
        Rollout("x", walks, CONTEXT, walks.frames)
