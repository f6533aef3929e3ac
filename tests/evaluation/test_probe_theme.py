"""Themes and flatness of frames that are right, stuck, or fade."""

import dataclasses

import numpy as np
import panorama
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import CopyLast
from worldmodel_env.evaluation.probes.classifier import Classifier, train_classifier
from worldmodel_env.evaluation.probes.flatness import probe_flatness
from worldmodel_env.evaluation.probes.rollout import Rollout, imagine
from worldmodel_env.evaluation.probes.theme import learn_themes, probe_themes, quadrants

ALL = "right theme, all horizons"


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return learn_themes(panorama.make_clips(16, 30, seed=5), panorama.CELL, steps=60)


@pytest.fixture(scope="module")
def walks() -> panorama.Clips:
    return panorama.make_clips(16, 110, seed=6)


def cells(section, name: str) -> dict:
    row = next(row for row in section.tables[0].rows if row[0] == name)
    return dict(zip(section.tables[0].columns, row, strict=True))


def test_quarters_are_read_off_poses() -> None:
    walks = panorama.make_clips(1, 5)
    corners = [(1.5, 7.5), (7.5, 7.5), (1.5, 1.5), (7.5, 1.5), (4.5, 4.5)]
    poses = np.array([[(x * 10, y * 10, 0) for x, y in corners]], np.float32)
    moved = dataclasses.replace(walks, pose=poses)
    assert quadrants(moved, panorama.CELL).tolist() == [[0, 1, 2, 3, 0]]
    with pytest.raises(InputError, match="layout"):
        quadrants(dataclasses.replace(walks, layouts=[None]), panorama.CELL)


def test_the_truth_has_the_right_theme_and_a_frozen_one_that_of_the_context(
    classifier: Classifier, walks: panorama.Clips
) -> None:
    truth = Rollout("truth", walks, 4, walks.frames[:, 4:])
    row = cells(probe_themes(truth, classifier, panorama.CELL), ALL)
    assert row["value"] == row["ceiling"] > 0.95
    frozen = probe_themes(imagine(CopyLast(), walks, 4), classifier, panorama.CELL)
    row = cells(frozen, ALL)
    assert row["value"] == pytest.approx(row["chance"], abs=0.05)
    assert row["value"] < 0.9
    moved = cells(frozen, "right theme, where it is not the context's last")
    assert moved["value"] < 0.05
    assert "right theme, at horizon 100" in frozen.numbers


def test_a_classifier_needs_two_classes() -> None:
    with pytest.raises(InputError, match="two"):
        train_classifier(np.zeros((4, 32, 32, 3), np.uint8), np.zeros(4, np.int64))


def test_training_is_repeatable_and_leaves_the_random_state_alone() -> None:
    import torch

    rng = np.random.default_rng(0)
    frames, labels = rng.integers(0, 255, (32, 32, 32, 3), np.uint8), np.arange(32) % 2
    torch.manual_seed(7)
    before = torch.get_rng_state()
    a, b = (train_classifier(frames, labels, steps=5) for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    for x, y in zip(a.net.parameters(), b.net.parameters(), strict=True):
        assert torch.equal(x, y)


def test_flatness_tells_a_curve_that_rises_from_one_that_does_not(walks: panorama.Clips) -> None:
    short = dataclasses.replace(
        walks, frames=walks.frames[:6, :62], actions=walks.actions[:6, :61],
        pose=None, seeds=walks.seeds[:6], places=walks.places[:6], layouts=walks.layouts[:6],
    )  # fmt: skip
    true, rng = short.frames[:, 2:], np.random.default_rng(0)
    noise = rng.normal(size=true.shape)
    flat = np.clip(true + 40 * noise, 0, 255).astype(np.uint8)
    amount = np.linspace(5, 100, 60)[:, None, None, None]
    rising = np.clip(true + amount * noise, 0, 255).astype(np.uint8)
    name = "LPIPS, farthest span / first late one"
    told = [
        probe_flatness(Rollout("x", short, 2, film)).numbers[name].value for film in (flat, rising)
    ]
    assert told[0] == pytest.approx(1, abs=0.1)
    assert told[1] is not None
    assert told[1] > 1.25
    with pytest.raises(InputError, match="horizon"):
        probe_flatness(Rollout("x", short, 50, short.frames[:, 50:]))
