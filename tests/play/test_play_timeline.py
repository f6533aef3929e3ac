"""The timeline gives back every moment to the bit, within its space."""

import numpy as np
import pytest

from worldmodel_env.play.scene import Scene
from worldmodel_env.play.timeline import Arrays, Timeline


def scene(elapsed: int) -> Scene:
    frame = np.full((4, 4, 3), elapsed % 256, np.uint8)
    return Scene(frame, elapsed, 0, 0.0, 0.0, False, None, None, None)


def states(count: int, seed: int = 0) -> list[Arrays]:
    """A ring in which one row changes at a time, as a world's cache does."""
    rng = np.random.default_rng(seed)
    ring = np.zeros((1, 8, 500), np.float32)
    made = []
    for i in range(count):
        ring = ring.copy()
        ring[0, i % 8] = rng.normal(size=500)
        ring[0, i % 8, 0] = [-0.0, np.inf, np.nan, 0.0][i % 4]  # bits, not values, are kept
        made.append({"ring": ring, "index": np.array([i]), "ended": np.array([i % 3 == 0])})
    return made


def walked(made: list[Arrays], most_bytes: int = 1 << 30) -> Timeline:
    timeline = Timeline(made[0], scene(0), most_bytes)
    for i, state in enumerate(made[1:], 1):
        timeline.append(state, scene(i))
    return timeline


def same(one: Arrays, other: Arrays) -> bool:
    return all(
        one[name].dtype == other[name].dtype
        and one[name].shape == other[name].shape
        and one[name].tobytes() == other[name].tobytes()
        for name in one | other
    )


def test_any_moment_is_found_again_from_any_other() -> None:
    made = states(20)
    timeline = walked(made)
    for position in (19, 0, 7, 6, 13, 13, 0, 19, 1):
        timeline.seek(position)
        assert timeline.scene.elapsed == position
        assert same(timeline.state, made[position])


def test_going_on_from_the_past_replaces_what_came_after() -> None:
    made, others = states(10), states(10, seed=1)
    timeline = walked(made)
    timeline.seek(4)
    timeline.append(others[5], scene(5))
    assert len(timeline.scenes) == 6
    timeline.seek(4)
    assert same(timeline.state, made[4])
    timeline.seek(5)
    assert same(timeline.state, others[5])


def test_the_oldest_are_forgotten_when_space_runs_out() -> None:
    made = states(60)
    timeline = walked(made, most_bytes=30_000)
    held = len(timeline.scenes)
    assert 5 < held < 20
    assert [s.elapsed for s in timeline.scenes] == list(range(60 - held, 60))
    timeline.seek(0)
    assert same(timeline.state, made[60 - held])
    timeline.seek(held - 1)
    assert same(timeline.state, made[59])


def test_a_moment_too_large_to_remember_from_is_the_only_one() -> None:
    timeline = walked(states(5), most_bytes=10)
    assert [s.elapsed for s in timeline.scenes] == [4]


def test_a_copy_goes_its_own_way() -> None:
    made, others = states(10), states(10, seed=1)
    timeline = walked(made)
    timeline.seek(5)
    twin = timeline.copy()
    assert [s.elapsed for s in twin.scenes] == [0, 1, 2, 3, 4, 5]
    twin.append(others[6], scene(6))
    twin.seek(2)
    timeline.seek(9)
    assert same(timeline.state, made[9])
    assert same(twin.state, made[2])


@pytest.mark.parametrize("length", [2, 30])
def test_space_is_counted_alike_however_one_got_there(length: int) -> None:
    timeline = walked(states(length))
    straight = timeline._bytes
    for position in (length // 2, 0):
        timeline.seek(position)
        for i, state in enumerate(states(length)[position + 1 :], position + 1):
            timeline.append(state, scene(i))
    assert timeline._bytes == straight == timeline.copy()._bytes
