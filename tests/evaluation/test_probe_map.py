"""The map probe on features that hold the map, or nothing."""

import dataclasses

import numpy as np
import panorama
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.probes.linear_probe import fit_probe
from worldmodel_env.evaluation.probes.map_probe import fit_map, probe_map
from worldmodel_env.evaluation.probes.map_targets import MapTargets, map_targets
from worldmodel_env.evaluation.probes.temporal_state import Traces, trace
from worldmodel_env.imagination.world import World

LENGTH = 24


def features(targets: MapTargets, *, seed: int, knows: bool) -> np.ndarray:
    """A random linear mixture of the targets of the next frame, or noise."""
    rng = np.random.default_rng(seed)
    n, length = targets.position.shape[:2]
    if not knows:
        return rng.normal(size=(n, length - 1, 80)).astype(np.float32)
    layout = np.broadcast_to(targets.layout[:, None], (n, length - 1, targets.layout.shape[1]))
    parts = [layout, targets.position[:, 1:], targets.ahead[:, 1:], targets.behind[:, 1:]]
    known = np.concatenate(parts, -1).astype(np.float64)
    mixing = np.random.default_rng(0).normal(size=(known.shape[-1], 80))
    return (known @ mixing).astype(np.float32)


@pytest.fixture(scope="module")
def sets() -> list[tuple[panorama.Clips, MapTargets]]:
    clips = [panorama.make_clips(n, LENGTH, seed=s) for n, s in ((60, 7), (20, 8))]
    return [(c, map_targets(c, panorama.CELL)) for c in clips]


def test_memory_that_holds_the_map_is_read_and_noise_is_chance(sets) -> None:
    (fitting, fitted), (held_out, wanted) = sets
    memory, noise = (features(fitted, seed=1, knows=k) for k in (True, False))
    probes = [fit_map(x, fitted, fitting.places) for x in (memory, noise)]
    traces = Traces(*(features(wanted, seed=2, knows=k) for k in (True, False)))
    section = probe_map({"observed": traces}, wanted, held_out.places, *probes, 4)
    rows = {row[0]: row for row in section.tables[0].rows}
    for target in ("cells of the layout right", "walls in view right", "walls at the back right"):
        name, value, low, _, chance, *_ = rows[f"{target}, observed"]
        assert value > 0.97, name
        assert low > chance
        assert rows[f"{name}, one look"][1] == pytest.approx(chance, abs=0.05)
    name = "place, observed: off by (cells)"
    assert rows[name][1] < 0.2
    assert rows[f"{name}, one look"][1] == pytest.approx(rows[name][4], rel=0.1)
    assert section.numbers["cells of the layout right, observed"].value is not None


def test_targets_lie_where_the_pose_says() -> None:
    clips = panorama.make_clips(1, 3)
    layout = np.ones((9, 9), np.uint8)
    layout[4, 4] = layout[4, 5] = 0  # room for the agent, and free to the east of it
    x, y = 4.5 * panorama.CELL, 4.5 * panorama.CELL
    pose = np.array([[(x, y, 0), (x, y, 180), (x, y + 10, 90)]], np.float32)
    targets = map_targets(dataclasses.replace(clips, pose=pose, layouts=[layout]), panorama.CELL)
    assert targets.position[0].tolist() == [[4, 4], [4, 4], [3, 4]]
    assert targets.ahead[0, 0].tolist() == [True, False, True]
    assert targets.behind[0, 0].tolist() == [True, True, True]
    assert targets.behind[0, 1].tolist() == [True, False, True]
    # A row further north, facing north, the free cell lies behind on the right.
    assert targets.behind[0, 2].sum() == 1
    assert targets.layout.shape == (1, 49)


def test_maps_that_are_not_known_are_refused() -> None:
    clips = panorama.make_clips(2, 3)
    with pytest.raises(InputError, match="layout"):
        map_targets(dataclasses.replace(clips, pose=None), panorama.CELL)
    mixed = dataclasses.replace(clips, layouts=[np.ones((9, 9)), np.ones((7, 7))])
    with pytest.raises(InputError, match="one size"):
        map_targets(mixed, panorama.CELL)


def test_ridge_finds_a_linear_map_and_shrinks_on_noise() -> None:
    rng = np.random.default_rng(0)
    x, groups = rng.normal(size=(600, 20)), np.repeat(np.arange(30), 20)
    truth = rng.normal(size=(20, 3))
    np.testing.assert_allclose(fit_probe(x, x @ truth + 2, groups)(x), x @ truth + 2, atol=0.05)
    noise = rng.normal(size=(600, 1))
    assert fit_probe(x, noise, groups)(rng.normal(size=(600, 20))).std() < 0.3


def test_traces_agree_until_imagination_begins(nano_world) -> None:
    model = World.load(nano_world).imagination()
    clips = panorama.make_clips(3, 10)
    watched, dreamt = (trace(model, clips, context, progress=False) for context in (10, 5))
    assert watched.memory.shape[:2] == watched.glance.shape[:2] == (3, 9)
    # Entry t was told by frames up to t: the first imagined frame is frame 5.
    np.testing.assert_array_equal(watched.memory[:, :5], dreamt.memory[:, :5])
    assert (np.abs(watched.memory[:, 5:] - dreamt.memory[:, 5:]).max((1, 2)) > 0).all()
    alone = trace(model, clips.rows(np.array([2])), 5, progress=False)
    np.testing.assert_allclose(alone.memory[0], dreamt.memory[2], atol=1e-4)
