"""The deciding experiments, in small: the tasks are what they say, cells are kept."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from nano import make_nano

from benchmarks import exposure, long_horizon, recall
from simulators.recorder import record
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.imagination.world import World
from worldmodel_env.models.temporal import TemporalConfig
from worldmodel_env.presets import load_preset
from worldmodel_env.training.self_forcing_recipe import SelfForcing

GRID, CODES = 4, 32
FRAMES, LAGS = 41, (4, 16, 32)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small = TemporalConfig(16, 128, 2, 1, "window", window=FRAMES)
    for name, value in {
        "FRAMES": FRAMES, "LAGS": LAGS, "WALKS": 8, "SIZE": small,
        "STAGES": ((17, 2, 2), (FRAMES, 2, 2)),
    }.items():  # fmt: skip
        monkeypatch.setattr(recall, name, value)


@pytest.fixture
def store() -> CodeStore:
    """Ten walks of random grids, one of which is too short."""
    lengths = [FRAMES] * 9 + [FRAMES - 1]
    starts = np.cumsum([0, *lengths])
    rng = np.random.default_rng(0)
    return CodeStore(
        rng.integers(0, CODES, (starts[-1], GRID, GRID)).astype(np.uint16),
        np.zeros(starts[-1], np.int64), np.zeros(starts[-1], np.float32),
        np.zeros(starts[-1], bool), starts, {},
    )  # fmt: skip


def vectors() -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(CODES, 4), dim=-1)


def test_questions_ask_for_the_marked_frame_so_many_frames_ago(store: CodeStore) -> None:
    codes = recall.read(store, recall.walks(store)[:3], FRAMES)
    asked = recall.questions(codes, (16,), torch.Generator().manual_seed(0))
    assert asked.asked.sum(1).tolist() == [FRAMES - 16] * 3
    assert asked.source[:, 16:].tolist() == [[t // 4 * 4 for t in range(FRAMES - 16)]] * 3
    marked = asked.marks.ne(0).any(-1)
    assert marked.nonzero()[:, 1].tolist() == list(range(0, FRAMES, recall.EVERY)) * 3
    assert not torch.equal(asked.marks[:, 0], asked.marks[:, recall.EVERY])
    frame = recall.some_asked(asked, 10, torch.Generator().manual_seed(0))
    assert asked.asked.gather(1, frame).all()


@torch.no_grad()
def test_only_what_was_asked_for_is_right(store: CodeStore) -> None:
    """A model that answers with what the right grid means is always right."""
    model = recall.Recall(recall.SIZE, vectors(), GRID)
    codes = recall.read(store, recall.walks(store)[:3], FRAMES)
    asked = recall.questions(codes, LAGS, torch.Generator().manual_seed(0))
    grids = codes.gather(1, asked.source[..., None, None].expand_as(codes))
    known = model.vectors[grids].flatten(2)
    model.forward = lambda asked: torch.nn.functional.normalize(model.meaning(known), dim=-1)
    frame = recall.some_asked(asked, 10, torch.Generator().manual_seed(0))
    logits = recall.scores(model, asked, frame, torch.Generator().manual_seed(0))
    assert (logits.argmax(-1) == 0).all()
    assert (logits[..., 0] > logits[..., 1:].amax(-1)).all()  # nothing else counts as right


def test_all_mixers_have_the_same_number_of_parameters(store: CodeStore) -> None:
    stores = {"train": store, "validation": store}
    sizes = []
    for mixer in recall.MIXERS:
        found = recall.measure(mixer, stores, vectors(), 0, stages=((17, 2, 1),))
        sizes.append(found["parameters"])
        assert {f"recall at {lag}" for lag in LAGS} < set(found)
        assert all(0 <= found[f"recall at {lag}"] <= 1 for lag in LAGS)
    assert max(sizes) - min(sizes) <= 2 * recall.SIZE.dim + 1


def test_cells_that_are_there_are_kept(tmp_path: Path) -> None:
    out, asked = tmp_path / "found.json", []

    def measure(cell: str, seed: int) -> dict[str, float]:
        asked.append((cell, seed))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return {"value": float(seed)}

    with pytest.raises(KeyboardInterrupt):
        long_horizon.fill(out, "memory", ["a", "b"], 2, measure)
    assert asked == [("a", 0), ("b", 0), ("a", 1)]
    long_horizon.fill(out, "memory", ["a", "b"], 2, measure)
    assert asked[3:] == [("a", 1), ("b", 1)]
    found = json.loads(out.read_text())["memory"]["results"]
    assert found == {c: {"0": {"value": 0.0}, "1": {"value": 1.0}} for c in "ab"}


def test_another_setting_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "found.json"
    long_horizon.fill(out, "memory", ["a"], 1, lambda cell, seed: {"value": 1.0})
    monkeypatch.setitem(long_horizon.SETTINGS, "memory", {"lags": [1]})
    with pytest.raises(SystemExit, match="give another --out"):
        long_horizon.fill(out, "memory", ["b"], 1, lambda cell, seed: {"value": 1.0})


@pytest.mark.slow
def test_worlds_are_trained_on_their_mistakes_and_judged(
    toy_set: Path, nano_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import toy_env

    nano = load_preset("nano")
    clean = replace(nano.teco, code_noise=0.0)
    methods = {
        "before": None, "corruption": nano.teco, "self-roll-out": SelfForcing(self_rollout=2),
        exposure.SHIPPED: None,
    }  # fmt: skip
    for name, value in {
        "CLEAN": clean, "TRAINING": nano.teco_training, "METHODS": methods, "STEPS": 2, "MORE": 2,
        "GAPS": (1, 2), "CONTEXT": 3, "BUCKETS": ((0, 5), (5, 900)), "EVERY": 1,
    }.items():  # fmt: skip
        monkeypatch.setattr(exposure, name, value)
    walks = tmp_path / "walks"
    record(toy_env.ID, walks, episodes=0, validation=0, test=2, policy="random", progress=False)
    bench = exposure.Bench(toy_set, walks, tmp_path / "work", World.load(nano_world))
    names = {
        *(f"CE {what} {k}{more}" for k in (1, 2)
          for what, more in (("after", " of its own"), ("instead of", ""))),
        *(f"{what}, 0-5, {where}" for what in ("codes", "LPIPS")
          for where in ("same maze", "other maze", "any frame")),
        "codes that change, 0-5",
    }  # fmt: skip
    found = {method: bench.exposed(method, 0) for method in methods}
    assert all(set(cell) == names for cell in found.values())
    assert found["before"] != found["corruption"]
    before = sorted((tmp_path / "work").iterdir())
    assert bench.exposed("before", 0) == found["before"]  # from the world that is there
    assert sorted((tmp_path / "work").iterdir()) == before
    ceiling = bench.exposed(exposure.RECORDED, 0)
    assert set(ceiling) == {name for name in names if not name.startswith("CE")}


@torch.no_grad()
def test_frames_of_the_maze_itself_are_its_best_match() -> None:
    model = make_nano(resolution=64).imagination()
    generator = torch.Generator().manual_seed(0)
    recorded = torch.randint(64, (2, 120, 8, 8), generator=generator)
    found = exposure.distances(model, recorded[:, 10:110], recorded)
    assert found["codes, 0-100, same maze"] == pytest.approx(0, abs=1e-4)
    assert found["LPIPS, 0-100, same maze"] == pytest.approx(0, abs=1e-4)
    assert 0.1 < found["codes, 0-100, other maze"] < found["codes, 0-100, any frame"]
    assert not any("200-300" in name for name in found)
