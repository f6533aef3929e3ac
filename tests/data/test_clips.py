"""Clips cut from episodes: indices, time convention, padding, purity."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from worldmodel_env.data.clips import cut_clips, sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.errors import InputError

LENGTHS = [10, 3, 6]
STARTS = np.cumsum([0, *LENGTHS])


@pytest.fixture
def store() -> CodeStore:
    """Everything that belongs to frame f, or to the action after it, is f."""
    f = np.arange(STARTS[-1])
    return CodeStore(
        codes=np.broadcast_to(f[:, None, None], (len(f), 2, 2)).astype(np.uint16),
        actions=f.astype(np.int64),
        rewards=f.astype(np.float32),
        terminations=np.isin(f + 2, STARTS),  # the last action of each episode
        starts=STARTS,
        key={},
    )


def episode_of(frame: np.ndarray) -> np.ndarray:
    return np.searchsorted(STARTS, frame, side="right") - 1


@pytest.mark.parametrize("length", [2, 4, 8, 12])
def test_clips_are_pieces_of_one_episode(store: CodeStore, length: int) -> None:
    clips = sample_clips(store, length, batch=64, seed=0, step=0)
    frame = clips.codes[..., 0, 0].numpy()
    valid = clips.valid.numpy()
    assert frame.shape == (64, length)
    first = frame[:, 0]
    episode = episode_of(first)
    for b in range(64):
        count = min(length, LENGTHS[episode[b]])
        assert valid[b].tolist() == [True] * count + [False] * (length - count)
        assert frame[b, :count].tolist() == list(range(first[b], first[b] + count))
        assert set(episode_of(frame[b, :count])) == {episode[b]}


def test_actions_lead_from_their_frame_to_the_next(store: CodeStore) -> None:
    clips = sample_clips(store, 4, batch=64, seed=0, step=0)
    follows = clips.valid[:, 1:]
    before = clips.codes[:, :-1, 0, 0][follows]
    assert clips.actions is not None
    assert torch.equal(clips.actions[follows], before)
    assert torch.equal(clips.rewards[follows].long(), before)
    ends = clips.codes[:, 1:, 0, 0][follows]
    assert torch.equal(clips.terminations[follows], torch.isin(ends + 1, torch.tensor(STARTS)))


def test_short_episodes_are_padded_at_the_end_from_their_start(store: CodeStore) -> None:
    clips = sample_clips(store, 8, batch=200, seed=0, step=0)
    short = ~clips.valid.all(1)
    assert 0.25 < short.float().mean() < 0.75  # 9 of 19 frames are in episodes shorter than 8
    assert set(clips.codes[short][:, 0, 0, 0].tolist()) == {int(STARTS[1]), int(STARTS[2])}


def test_every_whole_clip_is_drawn_evenly(store: CodeStore) -> None:
    first = torch.cat(
        [sample_clips(store, 4, 100, 0, step).codes[:, 0, 0, 0] for step in range(60)]
    )
    share = torch.bincount(first, minlength=19) / len(first)
    long, short, other = share[:7], share[10], share[13:16]
    torch.testing.assert_close(long, torch.full((7,), 10 / 19 / 7), atol=0.02, rtol=0)
    assert float(short) == pytest.approx(3 / 19, abs=0.02)
    torch.testing.assert_close(other, torch.full((3,), 6 / 19 / 3), atol=0.02, rtol=0)
    assert float(share.sum()) == pytest.approx(float(long.sum() + short + other.sum()))


def test_a_share_of_the_clips_shows_how_episodes_end(store: CodeStore) -> None:
    """Those that did not terminate are not among them, and the others are alike, however long."""
    store = replace(store, terminations=store.terminations & (np.arange(19) != STARTS[3] - 2))
    clips = [sample_clips(store, 4, 100, 0, step, ends=0.5) for step in range(20)]
    assert all(clip.valid.shape == (100, 4) for clip in clips)
    ended = torch.cat([clip.terminations.any(1) for clip in clips])
    first = torch.cat([clip.codes[:, 0, 0, 0] for clip in clips])[ended]
    assert set(first.tolist()) == {6, 10}  # the last four frames of ten, and all three of three
    drawn = (10 / 7 + 3) / 19  # of the other half
    assert float(ended.float().mean()) == pytest.approx(0.5 + 0.5 * drawn, abs=0.03)
    assert float((first == 6).float().mean()) == pytest.approx(0.47, abs=0.05)


def test_ends_need_an_episode_that_terminated(store: CodeStore) -> None:
    endless = replace(store, terminations=np.zeros_like(store.terminations))
    with pytest.raises(InputError, match=r"ends is 0\.5, but no episode of the data terminated"):
        sample_clips(endless, 4, 8, 0, 0, ends=0.5)


def test_a_batch_is_a_function_of_seed_and_step(store: CodeStore) -> None:
    def codes(seed: int, step: int) -> torch.Tensor:
        return sample_clips(store, 4, batch=16, seed=seed, step=step).codes

    assert torch.equal(codes(0, 5), codes(0, 5))
    assert not torch.equal(codes(0, 5), codes(0, 6))
    assert not torch.equal(codes(0, 5), codes(1, 5))


def test_types_and_moving(store: CodeStore) -> None:
    clips = cut_clips(store, STARTS[:2], STARTS[1:3], 5).to(torch.device("cpu"))
    assert clips.codes.dtype == torch.int64
    assert clips.valid.sum(1).tolist() == [5, 3]
    assert clips.rewards.shape == clips.terminations.shape == (2, 4)
    assert clips.rewards.dtype == torch.float32
    assert clips.terminations.dtype == clips.valid.dtype == torch.bool
