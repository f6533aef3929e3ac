"""Benchmarks that write what they measured into a world's card."""

import json
from pathlib import Path

import pytest
from nano import make_nano

from benchmarks import probes, quality
from worldmodel_env.imagination.world import World

FOUND = {"value": 0.5, "low": 0.25, "high": 0.75}


def test_quality_goes_into_the_card(tmp_path: Path) -> None:
    folder = make_nano(resolution=64).save(tmp_path / "world")
    before = World.load(folder)
    quality.main(
        str(folder), episodes=1, context=4, horizon=5, out=tmp_path / "quality.json", card=True
    )
    after = World.load(folder)
    report = json.loads((tmp_path / "quality.json").read_text())
    told = after.quality["1 test episodes, 4 frames of context"]
    curve = report["curves"]["world"]["psnr"]["mean"]
    assert [told[f"PSNR at {h} (dB)"] for h in (1, 5)] == pytest.approx([curve[0], curve[4]], 1e-3)
    assert after.digest == before.digest, "what is said of a world does not change it"


def test_probes_go_into_the_card_beside_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_nano(resolution=64).save(tmp_path / "world")
    monkeypatch.setattr(probes, "measure_frames", lambda *_: {"psnr at 1, copy_last": FOUND})
    unknown = {"value": None, "low": None, "high": None}
    monkeypatch.setattr(probes, "measure_probes", lambda *_: {"a": FOUND, "b": unknown})
    probes.main(str(folder), context=4, horizon=3, out=tmp_path / "probes.json", card=True)
    assert World.load(folder).quality == {
        "64 test episodes, 4 frames of context, 3 imagined": {"PSNR at 1, last frame copied": 0.5},
        "probes": {"a": 0.5},
    }
