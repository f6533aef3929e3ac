import itertools
import subprocess
import sys

import numpy as np
import pytest

from simulators.maze import cache
from simulators.maze.layout import CELL
from simulators.maze.pools import POOLS, SIZES, SPLITS, pool_maze, split_of
from simulators.maze.wad import pool_wad
from worldmodel_env.errors import InputError


@pytest.mark.parametrize("size", SIZES)
def test_mazes_are_closed_and_their_rooms_are_joined(size):
    for index in range(50):
        maze = pool_maze(size, "train", index)
        walls = maze.walls
        assert walls.shape == (size, size)
        assert walls.dtype == np.uint8
        assert walls[0].all()
        assert walls[-1].all()
        assert walls[:, 0].all()
        assert walls[:, -1].all()
        assert not walls[1::2, 1::2].any()
        assert set(maze.distances((1, 1))) >= {
            (row, column) for row in range(1, size, 2) for column in range(1, size, 2)
        }


def test_openings_have_the_recipes_share():
    free = np.mean([len(pool_maze(9, "train", index).free_cells()) for index in range(400)])
    # 16 rooms, 15 passages, and 0.15 of the 18 other inner cells.
    assert free == pytest.approx(31 + 0.15 * 18, abs=0.4)


@pytest.mark.parametrize("size", SIZES)
def test_no_layout_is_in_two_splits(size):
    layouts = {
        split: {pool_maze(size, split, index).walls.tobytes() for index in range(60)}
        for split in SPLITS
    }
    assert all(layouts.values())
    for split, found in layouts.items():
        for walls in found:
            assert split_of(np.frombuffer(walls, np.uint8)) == split


def test_a_maze_is_a_pure_function_of_its_place_in_the_pool():
    first, again = pool_maze(9, "test", 7), pool_maze(9, "test", 7)
    assert (first.walls == again.walls).all()
    assert (first.patterns == again.patterns).all()
    assert len({pool_maze(9, "train", i).walls.tobytes() for i in range(200)}) > 195


def test_cells_and_points_agree():
    maze = pool_maze(7, "train", 0)
    assert maze.centre((6, 0)) == (CELL // 2, CELL // 2)
    for cell in maze.free_cells():
        assert maze.cell_at(*maze.centre(cell)) == cell


def test_paths_are_shortest():
    maze = pool_maze(9, "train", 3)
    distance = maze.distances((1, 1))
    for end, steps in distance.items():
        path = maze.path((1, 1), end)
        assert (path[0], path[-1], len(path)) == ((1, 1), end, steps + 1)
        assert all(b in maze.neighbours(a) for a, b in itertools.pairwise(path))


def test_processes_may_build_the_cache_at_once(tmp_path):
    pools = {"train": 200, "validation": 20, "test": 20}
    code = (
        f"from simulators.maze import cache, pools; pools.POOLS.update({pools}); "
        "print(cache.pool_path(5))"
    )
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={"XDG_CACHE_HOME": str(tmp_path), "PATH": ""},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    paths = {builder.communicate()[0].strip() for builder in builders}
    assert len(paths) == 1
    files = list((tmp_path / "worldmodel-env").iterdir())
    assert [str(file) for file in files] == list(paths)
    assert files[0].read_bytes() == pool_wad(5, pools)


def test_the_caches_name_follows_what_the_maps_hold(monkeypatch):
    name = cache._fingerprint(5)
    assert cache._fingerprint(5) == name
    assert cache._fingerprint(7) != name
    monkeypatch.setitem(POOLS, "train", POOLS["train"] + 1)
    assert cache._fingerprint(5) != name


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "worldmodel-env").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cache, "pool_wad", lambda *_: b"")
    with pytest.raises(InputError, match="XDG_CACHE_HOME"):
        cache.pool_path.__wrapped__(5)
