"""Which views were shown before, and how good those and the new ones are."""

import dataclasses

import numpy as np
import panorama
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.novelty import probe_novelty, shown_before
from worldmodel_env.evaluation.probes.returns import Tolerance
from worldmodel_env.evaluation.probes.rollout import Rollout

TOLERANCE = Tolerance(panorama.CELL / 8)
CONTEXT = 35


@pytest.fixture(scope="module")
def walks() -> panorama.Clips:
    """Thirty frames out, the same way back."""
    return panorama.make_clips(6, 70, seed=3, there_and_back=True)


def test_a_view_counts_as_shown_by_its_place_and_heading() -> None:
    pose = np.array([[(0, 0, 350), (10, 0, 0), (1, 0, 0), (0, 0, 90), (30, 0, 0)]], np.float32)
    assert shown_before(pose, 2, TOLERANCE).tolist() == [[True, False, False]]
    assert shown_before(pose, 1, TOLERANCE).tolist() == [[False, True, False, False]]


def test_who_remembers_but_invents_nothing_is_good_where_views_were_shown(
    walks: panorama.Clips,
) -> None:
    assert walks.pose is not None
    shown = shown_before(walks.pose, CONTEXT, TOLERANCE)
    assert 0.05 < shown[:, 22:27].mean() < 0.95
    noise = np.random.default_rng(0).integers(0, 255, walks.frames[:, CONTEXT:].shape, np.uint8)
    true = walks.frames[:, CONTEXT:]
    film = np.where(shown[:, :, None, None, None], true, noise)
    numbers = probe_novelty(Rollout("x", walks, CONTEXT, film), TOLERANCE).numbers
    found = {name: number.value for name, number in numbers.items()}
    assert found["views shown before, at 25"] == pytest.approx(shown[:, 22:27].mean(), abs=1e-6)
    assert found["PSNR at 25, shown before"] > 50
    assert found["PSNR at 25, new views"] < 12
    assert found["LPIPS at 25, shown before"] < 0.01 < found["LPIPS at 25, new views"]


def test_the_mean_of_the_context_is_its_own_chance(walks: panorama.Clips) -> None:
    blur = walks.frames[:, :CONTEXT].mean(1).round().astype(np.uint8)
    film = np.broadcast_to(blur[:, None], walks.frames[:, CONTEXT:].shape)
    (table,) = probe_novelty(Rollout("blur", walks, CONTEXT, film), TOLERANCE).tables
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    judged = [cells for cells in rows if cells["chance"] is not None]
    assert len(judged) == 6
    for cells in judged:
        assert cells["value"] == pytest.approx(cells["chance"], abs=1e-5)
    told = {cells[""]: cells["value"] for cells in rows}
    assert told["PSNR at 25, mean of the context"] == told["PSNR at 25, all"]


def test_poses_and_a_horizon_beyond_25_are_needed(walks: panorama.Clips) -> None:
    blind = dataclasses.replace(walks, pose=None)
    with pytest.raises(InputError, match="poses"):
        probe_novelty(Rollout("x", blind, CONTEXT, walks.frames[:, CONTEXT:]), TOLERANCE)
    with pytest.raises(InputError, match="at least 27"):
        probe_novelty(Rollout("x", walks, 50, walks.frames[:, 50:]), TOLERANCE)
