"""Clips that go on where those of the step before ended: places, ends of episodes, purity."""

import numpy as np
import pytest
import torch

from worldmodel_env.data.clips import Clips, consecutive_clips
from worldmodel_env.data.codes import CodeStore

LENGTHS = [40, 3, 17, 9]
STARTS = np.cumsum([0, *LENGTHS])
BATCH, LENGTH = 6, 5


@pytest.fixture
def store() -> CodeStore:
    """Everything that belongs to frame f is f."""
    f = np.arange(STARTS[-1])
    return CodeStore(
        codes=np.broadcast_to(f[:, None, None], (len(f), 2, 2)).astype(np.uint16),
        actions=f.astype(np.int64),
        rewards=f.astype(np.float32),
        terminations=np.isin(f + 2, STARTS),
        starts=STARTS,
        key={},
    )


def frames(clips: Clips) -> torch.Tensor:
    return clips.codes[:, :, 0, 0]


@pytest.mark.parametrize("run", [1, 2, 4, 20])
def test_a_row_goes_on_with_the_frame_that_it_ended_with(store: CodeStore, run: int) -> None:
    before, _ = consecutive_clips(store, LENGTH, BATCH, 0, 0, run)
    since = torch.zeros(BATCH, dtype=torch.int64)
    lengths = []
    for step in range(1, 60):
        clips, begins = consecutive_clips(store, LENGTH, BATCH, 0, step, run)
        assert torch.equal(frames(clips)[~begins, 0], frames(before)[~begins, -1])
        assert before.valid[~begins].all()  # nothing goes on from padding
        lengths += since[begins].tolist()
        since = torch.where(begins, 0, since + 1)
        assert int(since.max()) < run
        before = clips
    wanted = min(run, (40 - 1) // (LENGTH - 1))
    assert max(lengths) + 1 == wanted  # as long as the longest episode allows


def test_clips_stay_in_an_episode_and_only_short_ones_are_padded(store: CodeStore) -> None:
    seen = set()
    for step in range(200):
        clips, _ = consecutive_clips(store, LENGTH, BATCH, 1, step, 4)
        first, valid = frames(clips)[:, 0].numpy(), clips.valid.numpy()
        episode = np.searchsorted(STARTS, first, side="right") - 1
        seen |= set(episode.tolist())
        count = np.minimum(LENGTH, STARTS[episode + 1] - first)
        assert (valid.sum(1) == count).all()
        assert ((count == LENGTH) | (np.array(LENGTHS)[episode] < LENGTH)).all()
        assert clips.actions is not None
        follows = clips.valid[:, 1:]
        assert torch.equal(clips.actions[follows], frames(clips)[:, :-1][follows])
    assert seen == {0, 1, 2, 3}


def test_rows_begin_anew_at_different_steps(store: CodeStore) -> None:
    long = CodeStore(
        store.codes, store.actions, store.rewards, store.terminations, np.array([0, 69]), {}
    )
    begins = torch.stack([consecutive_clips(long, 2, 8, 0, s, 4)[1] for s in range(13)])
    assert begins[0].all()
    assert begins[1:].sum(1).tolist() == [2] * 12  # a quarter of the rows at any step


def test_a_batch_is_a_function_of_seed_and_step(store: CodeStore) -> None:
    def codes(seed: int, step: int) -> torch.Tensor:
        return consecutive_clips(store, LENGTH, BATCH, seed, step, 4)[0].codes

    assert torch.equal(codes(0, 7), codes(0, 7))
    assert not torch.equal(codes(0, 7), codes(0, 8))
    assert not torch.equal(codes(0, 7), codes(1, 7))
