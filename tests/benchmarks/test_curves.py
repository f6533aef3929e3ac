"""Curves of trainings one after another."""

import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from benchmarks.curves import ENTROPIES, HORIZONS, evaluations, main
from worldmodel_env.errors import InputError


def training(folder: Path, *steps: int) -> Path:
    """A log as `trainer.py` leaves it: losses at every step, an evaluation at some."""
    point = dict.fromkeys([*ENTROPIES, *HORIZONS], 2.0)
    lines = [
        line for step in steps for line in ({"step": step, "loss": 1.0}, {"step": step} | point)
    ]
    (folder / "teco").mkdir(parents=True)
    (folder / "teco" / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder


def test_evaluations_are_drawn_without_the_losses_between_them(tmp_path: Path) -> None:
    """Two trainings, one picture."""
    runs = training(tmp_path / "a", 250, 400), training(tmp_path / "b", 250)
    assert [point["step"] for point in evaluations(runs[0])] == [250, 400]
    main(runs, first=6, out=tmp_path / "pictures" / "training.png")
    assert imread(tmp_path / "pictures" / "training.png")[..., :3].std() > 0.05


def test_a_training_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    """Nothing is drawn as if it had been measured."""
    with pytest.raises(InputError, match="has no evaluation; give the folder of a training"):
        main((training(tmp_path / "a", 250), tmp_path / "b"), out=tmp_path / "training.png")
    assert not (tmp_path / "training.png").exists()
