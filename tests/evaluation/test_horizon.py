import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.bootstrap import mean_interval
from worldmodel_env.evaluation.horizon import HorizonReport, evaluate_horizons
from worldmodel_env.evaluation.metrics import PSNR_CAP, psnr
from worldmodel_env.evaluation.plot import plot_horizons
from worldmodel_env.evaluation.strips import write_contact_sheet, write_strips

N, K = 4, 3


@pytest.fixture(scope="module")
def film() -> np.ndarray:
    """Frames (N, K + 1, 32, 32, 3) of a picture that drifts to the left."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (N, 4, 16, 3)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    return np.stack([coarse[:, :, 4 * t : 4 * t + 32] for t in range(K + 1)], axis=1)


@pytest.fixture(scope="module")
def report(film: np.ndarray) -> HorizonReport:
    true, noise = film[:, 1:], np.random.default_rng(1).normal(0, 1, film[:, 1:].shape)
    growing = 5.0 * np.arange(1, K + 1)[:, None, None, None]
    predicted = np.clip(true + growing * noise, 0, 255).astype(np.uint8)
    ceiling = np.clip(true + 2 * noise, 0, 255).astype(np.uint8)
    return evaluate_horizons(true, predicted, film[:, 0], ceiling=ceiling)


def test_each_horizon_is_measured_apart(film: np.ndarray, report: HorizonReport) -> None:
    assert report.horizons.tolist() == [1, 2, 3]
    assert report.episodes == N
    copied = np.broadcast_to(film[:, :1], film[:, 1:].shape)
    np.testing.assert_allclose(
        report.curves["copy_last"]["psnr"].mean, psnr(film[:, 1:], copied).mean(0)
    )
    for metric, sign in (("psnr", 1), ("ssim", 1), ("lpips", -1)):
        world = report.curves["world"][metric]
        assert world.mean.shape == (K,)
        assert (sign * np.diff(world.mean) < 0).all(), metric
        assert (world.low <= world.mean).all()
        assert (world.mean <= world.high).all()
        assert (sign * (report.curves["tokenizer"][metric].mean - world.mean) > 0).all(), metric


def test_report_is_json(report: HorizonReport, tmp_path: Path) -> None:
    report.save(tmp_path / "report.json")
    read = json.loads((tmp_path / "report.json").read_text())
    assert read == report.as_dict()
    assert list(read["curves"]) == ["world", "copy_last", "tokenizer"]
    assert len(read["curves"]["world"]["lpips"]["high"]) == K
    assert "alex, v0.1, at 32x32" in read["definitions"]["lpips"]
    assert read["unavailable"] == {}


def test_identical_frames_are_counted(film: np.ndarray) -> None:
    true = film[:, 1:].copy()
    true[2, 0] = film[2, 0]  # a step that changes nothing: the copied frame is right
    report = evaluate_horizons(true, true, film[:, 0])
    assert report.identical == {"world": N * K, "copy_last": 1}
    assert (report.curves["world"]["psnr"].mean == PSNR_CAP).all()
    assert "tokenizer" not in report.curves


def test_without_weights_lpips_is_null_with_the_reason(
    film: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    report = evaluate_horizons(film[:, 1:], film[:, :-1], film[:, 0])
    read = report.as_dict()
    assert read["curves"]["world"]["lpips"] is None
    assert read["curves"]["world"]["ssim"] is not None
    assert "make metrics-weights" in read["unavailable"]["lpips"]
    plot_horizons(report, tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").ndim == 3


def test_frames_that_do_not_fit_are_refused(film: np.ndarray) -> None:
    true, last = film[:, 1:], film[:, 0]
    with pytest.raises(InputError, match="last context frames"):
        evaluate_horizons(true, true, last[:-1])
    with pytest.raises(InputError, match="equal ones were expected"):
        evaluate_horizons(true, true[:, :-1], last)
    with pytest.raises(InputError, match="at least one episode"):
        evaluate_horizons(true[:0], true[:0], last[:0])
    with pytest.raises(InputError, match="float32 where uint8"):
        evaluate_horizons(true, true.astype(np.float32), last)


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for trial in range(200):
        interval = mean_interval(rng.normal(3.0, 2.0, (60, 2)), seed=trial)
        covered.append((interval.low <= 3.0) & (interval.high >= 3.0))
    assert 0.90 <= np.mean(covered) <= 0.98


def test_intervals_repeat_and_refuse_nan() -> None:
    values = np.random.default_rng(0).normal(size=(10, 4))
    assert np.array_equal(mean_interval(values).low, mean_interval(values).low)
    assert not np.array_equal(mean_interval(values).low, mean_interval(values, seed=1).low)
    values[3, 1] = np.nan
    with pytest.raises(InputError, match="1 values that are not finite"):
        mean_interval(values)
    with pytest.raises(InputError, match="0 episodes"):
        mean_interval(values[:0])


@pytest.mark.parametrize("kept", [1, K])
def test_curves_are_drawn(film: np.ndarray, tmp_path: Path, kept: int) -> None:
    cut = film[:, 1 : 1 + kept]
    path = tmp_path / "curves.png"
    plot_horizons(evaluate_horizons(cut, cut // 2, film[:, 0]), path, "a world")
    picture = imread(path)[..., :3]
    assert picture.shape[1] > 1000
    for colour in ((61, 90, 158), (209, 116, 47)):  # the world's line and the baseline's
        assert (np.abs(picture * 255 - colour).max(-1) < 2).sum() > 20
    assert [file.name for file in tmp_path.iterdir()] == ["curves.png"]


def find(picture: np.ndarray, frame: np.ndarray) -> bool:
    """Whether `frame` lies in `picture`, pixel for pixel."""
    height, width = frame.shape[:2]
    corners = np.argwhere((picture == frame[0, 0]).all(-1))
    return any(np.array_equal(picture[y : y + height, x : x + width], frame) for y, x in corners)


def test_strips_show_every_frame_sharply(film: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "strips.png"
    clips = [{"true": film[i], "imagined": 255 - film[i]} for i in range(2)]
    write_strips(path, clips, ["context", 1, 2, 3], scale=2)
    picture = (imread(path)[..., :3] * 255).round().astype(np.uint8)
    for clip in clips:
        for frames in clip.values():
            for frame in frames:
                assert find(picture, frame.repeat(2, 0).repeat(2, 1))
    assert (picture[:, :40] < 100).any(), "row labels"
    assert (picture[:20] < 100).any(), "column labels"


def test_contact_sheet_shows_a_film_at_a_glance(film: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    frames = film.reshape(-1, *film.shape[2:])
    write_contact_sheet(path, frames, columns=3, every=2, scale=1)
    picture = (imread(path)[..., :3] * 255).round().astype(np.uint8)
    assert picture.shape[0] > 3 * 32
    assert all(find(picture, frame) for frame in frames[::2])
    assert not find(picture, frames[1])


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ({"true": (3, 8, 8, 3)}, 4),
        ({"true": (3, 8, 8, 3), "imagined": (3, 8, 9, 3)}, 3),
        ({"true": (0, 8, 8, 3)}, 0),
        ({"true": (3, 8, 8)}, 3),
        ({}, 3),
    ],
)
def test_strips_of_unequal_rows_are_refused(rows, columns: int, tmp_path: Path) -> None:
    clip = {label: np.zeros(shape, np.uint8) for label, shape in rows.items()}
    with pytest.raises(InputError, match="one frame per column label"):
        write_strips(tmp_path / "strips.png", [clip], range(columns))
    assert not list(tmp_path.iterdir())


def test_strips_of_floats_and_unwritable_folders_are_refused(tmp_path: Path) -> None:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="float32"):
        write_strips(tmp_path / "strips.png", [{"true": frames.astype(np.float32)}], range(2))
    with pytest.raises(InputError, match="cannot write"):
        write_strips(tmp_path / "absent" / "strips.png", [{"true": frames}], range(2))


def test_without_matplotlib_the_error_names_the_extra(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r'pip install "worldmodel-env\[train\]"'):
        write_contact_sheet(tmp_path / "sheet.png", np.zeros((2, 8, 8, 3), np.uint8))
