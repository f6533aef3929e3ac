"""The exposure gap: none where a world imagines the recording, and its sign elsewhere."""

from dataclasses import replace

import pytest
import torch
from nano import make_nano

from worldmodel_env.data.clips import Clips
from worldmodel_env.evaluation.exposure import exposure_gap
from worldmodel_env.imagination.rollout import dream
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.models.sampling import Sampling

FRAMES = 14


def build(steps: int = 0) -> Imagination:
    return make_nano().imagination(Sampling(steps=steps))


def make_clips(frames: int = FRAMES) -> Clips:
    generator = torch.Generator().manual_seed(0)
    return Clips(
        codes=torch.randint(64, (4, frames, 8, 8), generator=generator),
        actions=torch.randint(3, (4, frames - 1), generator=generator),
        rewards=torch.zeros(4, frames - 1),
        terminations=torch.zeros(4, frames - 1, dtype=torch.bool),
        valid=torch.ones(4, frames, dtype=torch.bool),
    )


def test_there_is_no_gap_where_the_recording_is_what_the_world_imagines() -> None:
    world, clips = build(), make_clips()
    state = world.begin(clips.codes[:, 0])
    seen = dream(world, state, clips.actions, torch.zeros(4, dtype=torch.int64))
    found = exposure_gap(world, replace(clips, codes=seen.codes), (1, 4, 8), context=1)
    assert list(found) == [1, 4, 8]
    for own, recorded in found.values():
        assert own == pytest.approx(recorded, abs=1e-5)


def test_both_are_the_same_frames_whatever_else_is_asked() -> None:
    world, clips = build(steps=2), make_clips()
    together = exposure_gap(world, clips, (1, 2, 8), context=3, key=7)
    assert exposure_gap(world, clips, (8,), context=3, key=7)[8] == together[8]
    assert exposure_gap(world, clips, (8,), context=3, key=8)[8] != together[8]
    own, recorded = together[8]
    assert own != recorded


def test_frames_beyond_the_clips_and_padding_do_not_count() -> None:
    world, clips = build(), make_clips()
    assert list(exposure_gap(world, clips, (1, 10, 11, 64), context=3)) == [1, 10]
    valid = clips.valid.clone()
    valid[1:, 8:] = False
    padded = exposure_gap(world, replace(clips, valid=valid), (2, 6), context=3)
    first = Clips(*(getattr(clips, n)[:1] for n in clips.__dataclass_fields__))
    alone = exposure_gap(world, first, (6,), context=3)
    assert padded[6] == pytest.approx(alone[6], rel=1e-5)
