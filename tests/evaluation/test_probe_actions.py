"""Action following of predictors that obey, freeze, or dream another walk."""

import numpy as np
import panorama
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import CopyLast
from worldmodel_env.evaluation.probes.action_following import InverseDynamics, probe_actions
from worldmodel_env.evaluation.probes.rollout import Rollout, imagine
from worldmodel_env.evaluation.probes.shift import image_shift
from worldmodel_env.evaluation.report import Section

CONTEXT = 4
BALANCED = "actions recognised, each as often"


@pytest.fixture(scope="module")
def dynamics() -> InverseDynamics:
    return InverseDynamics.learn(panorama.make_clips(24, 40, seed=1), steps=150)


@pytest.fixture(scope="module")
def held_out() -> panorama.Clips:
    return panorama.make_clips(12, 40, seed=2)


def found(section: Section, name: str) -> dict:
    row = next(row for row in section.tables[0].rows if row[0] == name)
    return dict(zip(section.tables[0].columns, row, strict=True))


@pytest.mark.parametrize("pixels", [-13, -5, 0, 3, 14])
def test_known_shifts_are_measured(pixels: int) -> None:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (6, 8, 24, 3)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    before, after = wide[:, :, 32:64], wide[:, :, 32 - pixels : 64 - pixels]
    assert (image_shift(before, after) == pixels).all()


def test_equal_and_empty_pictures_do_not_move() -> None:
    grey = np.full((2, 32, 32, 3), 90, np.uint8)
    assert image_shift(grey, grey).tolist() == [0, 0]


def test_the_truth_gets_the_ceiling(dynamics: InverseDynamics, held_out: panorama.Clips) -> None:
    section = probe_actions(
        Rollout("truth", held_out, CONTEXT, held_out.frames[:, CONTEXT:]), dynamics
    )
    row = found(section, BALANCED)
    assert row["value"] == row["ceiling"] > 0.9
    assert row["95 % low"] > row["chance"] + 0.3
    for action in (0, 1):
        assert found(section, f"action {action} turns the right way")["value"] == 1
        assert found(section, f"action {action}: size of the turn / true")["value"] == 1


def test_a_copied_frame_follows_no_action(
    dynamics: InverseDynamics, held_out: panorama.Clips
) -> None:
    section = probe_actions(imagine(CopyLast(5), held_out, CONTEXT), dynamics)
    assert found(section, BALANCED)["value"] < 0.45
    assert found(section, "action 0 turns the right way")["value"] < 0.1


def test_another_walks_frames_are_at_chance(
    dynamics: InverseDynamics, held_out: panorama.Clips
) -> None:
    stranger = np.roll(held_out.frames, 1, axis=0)[:, CONTEXT:]
    section = probe_actions(Rollout("stranger", held_out, CONTEXT, stranger), dynamics)
    row = found(section, BALANCED)
    assert abs(row["value"] - 1 / 3) < 0.1
    assert abs(row["value"] - row["chance"]) < 0.12


def test_turns_the_wrong_way_are_seen(dynamics: InverseDynamics, held_out: panorama.Clips) -> None:
    mirrored = held_out.frames[:, CONTEXT:, :, ::-1]
    section = probe_actions(Rollout("mirror", held_out, CONTEXT, mirrored), dynamics)
    assert found(section, "action 0 turns the right way")["value"] < 0.1


def test_a_film_run_backwards_is_read_as_the_opposite_turns(
    dynamics: InverseDynamics, held_out: panorama.Clips
) -> None:
    read = dynamics.read(held_out.frames[:, ::-1])[:, ::-1]
    turns = held_out.actions < 2
    assert (read == 1 - held_out.actions)[turns].mean() > 0.9


def test_actions_that_cannot_be_read_are_refused(held_out: panorama.Clips) -> None:
    import dataclasses

    box = dataclasses.replace(held_out, actions=held_out.actions.astype(np.float32)[..., None])
    with pytest.raises(InputError, match="continuous"):
        InverseDynamics.learn(box)
    many = dataclasses.replace(held_out, actions=np.arange(held_out.actions.size).reshape(12, -1))
    with pytest.raises(InputError, match="different actions"):
        InverseDynamics.learn(many)
