"""Tables and figures of what was measured, and of nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import long_horizon_tables as tables

MEMORY = {
    "settings": {"lags": [4, 64]},
    "results": {
        "full": {
            "0": {"parameters": 1000, "CPU s of training": 10.0, "recall at 4": 0.9,
                  "recall at 64": 0.5},
            "1": {"parameters": 1000, "CPU s of training": 20.0, "recall at 4": 0.7,
                  "recall at 64": 0.5},
        },
        "mamba2": {
            "0": {"parameters": 999, "CPU s of training": 30.0, "recall at 4": 0.8,
                  "recall at 64": 0.1},
        },
    },
}  # fmt: skip
FOUND = {
    "CE after 1 of its own": 3.0, "CE instead of 1": 2.5, "CE after 8 of its own": 4.0,
    "CE instead of 8": 2.75,
}  # fmt: skip
FAR = {
    "codes, 0-100, same maze": 0.2, "codes, 0-100, other maze": 0.5, "LPIPS, 0-100, same maze": 0.1,
    "LPIPS, 0-100, other maze": 0.4, "LPIPS, 0-100, any frame": 0.6,
    "codes, 0-100, any frame": 0.7, "codes that change, 0-100": 0.3,
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    monkeypatch.setattr(tables, "IMAGES", tmp_path / "images")
    return tmp_path


def write(folder: Path, **parts: Any) -> None:
    (folder / "long_horizon.json").write_text(json.dumps(parts))


def test_what_was_not_measured_is_said(folder: Path) -> None:
    for table in tables.TABLES.values():
        (line,) = table()
        assert line.startswith("Not measured yet: `python -m benchmarks.")
    tables.main()
    assert not (folder / "images").exists()


def test_means_spreads_and_empty_cells(folder: Path) -> None:
    exposure = {
        "settings": {"gaps": [1, 8]},
        "results": {"before": {"0": FOUND | FAR}, "self-roll-out": {"0": FOUND}},
    }
    write(folder, memory=MEMORY, exposure=exposure)
    lines = tables.memory_table()
    assert lines[2] == "| full attention | 0.80 ± 0.10 | 0.50 ± 0.00 | 1,000 | 15 ± 5 |"
    assert lines[3] == "| window and Mamba-2 | 0.80 | 0.10 | 999 | 30 |"
    assert "1-2 trainings" in lines[5]
    assert tables.exposure_table()[2] == "| before | 2.50 | 3.00 | 4.00 |"
    far = tables.far_table()
    assert far[2:4] == ["| before | 0.10 | 0.40 | 0.60 |", ""]
    assert far[-1] == "| before | 0.30 |"
    assert tables.passes_table()[0].startswith("Not measured yet")


def test_figures_show_bands_and_gaps(folder: Path) -> None:
    exposure = {"settings": {"gaps": [1, 8]}, "results": {"before": {"0": FOUND}}}
    write(folder, memory=MEMORY, exposure=exposure)
    tables.main()
    pictures = sorted(path.name for path in (folder / "images").iterdir())
    assert pictures == ["exposure.png", "memory.png"]
    assert all(path.stat().st_size < 200_000 for path in (folder / "images").iterdir())


def test_costs_are_those_of_the_file(folder: Path) -> None:
    found = {"window: parameters, M": 2.5, "window: training step, CPU s": 0.5}
    for frames, ms in ((300, 2.0), (30_000, 2.1)):
        found[f"window: frame {frames}, CPU ms"] = ms
        found[f"window: frame {frames}, state MB"] = 1.25
    content = {"machine": {"processor": "P"}, "results": found}
    (folder / "mixers.json").write_text(json.dumps(content))
    lines = tables.mixer_cost_table()
    assert lines[0].startswith("|  | ms at 300 | ms at 30,000 | 30,000 over 300 | MB at 300")
    assert lines[2] == "| window | 2.00 | 2.10 | 1.05 | 1.25 | 1.25 | 0.50 | 2.50 |"
