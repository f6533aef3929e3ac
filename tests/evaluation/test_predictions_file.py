"""A file of predicted frames scores as the model would; a wrong one is refused."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from guesses import Guess, Means

from worldmodel_env.cli import main
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation import measure
from worldmodel_env.evaluation.predictions import PredictionsFile
from worldmodel_env.evaluation.protocol import FILM, PREDICTION, Part, choose_episodes
from worldmodel_env.evaluation.protocol_run import run_protocol
from worldmodel_env.evaluation.report import Report
from worldmodel_env.evaluation.samples import ModelSource, Sample

PARTS = (
    Part(PREDICTION, 4, 6),
    Part(FILM, 3, 7, actions=False, frames=False, film=True),
)
SEEDS = (0, 3)


@pytest.fixture(scope="module")
def dataset(toy_set: Path) -> TrajectoryDataset:
    return TrajectoryDataset.open(toy_set)


@pytest.fixture(autouse=True)
def _networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "I3d", Means)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def path(dataset: TrajectoryDataset, tmp_path: Path) -> Path:
    """Predictions of `Guess`, written as docs/benchmark.md says, rows in no order."""
    refs = choose_episodes(dataset, "train", 10, 3)
    samples = [Sample(ref, seed) for ref in reversed(refs) for seed in SEEDS]
    with h5py.File(tmp_path / "predictions.hdf5", "w") as file:
        file.attrs["format"] = "worldmodel-predictions"
        file.attrs["format_version"] = 1
        file.attrs["model"] = "guess"
        for part in PARTS:
            group = file.create_group(part.name)
            group.attrs["context"] = part.context
            group.attrs["horizon"] = part.horizon
            group.attrs["actions"] = part.actions
            group["episodes"] = [sample.ref.id for sample in samples]
            group["seeds"] = [sample.seed for sample in samples]
            group["frames"] = np.concatenate([predict(dataset, part, s) for s in samples])
    return tmp_path / "predictions.hdf5"


def predict(dataset: TrajectoryDataset, part: Part, sample: Sample) -> np.ndarray:
    context = dataset.read(sample.ref, 0, part.context).observations
    return Guess(batch=1).predict(context[None], None, part.horizon, np.array([sample.key]))


def test_the_score_is_that_of_the_model(dataset, toy_set: Path, path: Path, tmp_path: Path) -> None:
    main(["score", str(path), str(toy_set), "--protocol", "clip", "--out", str(tmp_path / "file")])
    scored = Report.load(tmp_path / "file")
    model = run_protocol(
        ModelSource(Guess()), dataset, PARTS, tmp_path / "model", identity={"weights": 1},
        split="train", episodes=3, seeds=SEEDS,
    )  # fmt: skip
    assert scored.model == "guess"
    assert scored.sections == Report.load(tmp_path / "model").sections
    assert list(model.sections) == [PREDICTION, FILM]


def test_the_benchmark_wants_its_own_lengths(
    toy_set: Path, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["score", str(path), str(toy_set), "--out", str(tmp_path / "report")])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "'prediction' of 4 + 6 frames" in error
    assert "144 + 156" in error
    assert not (tmp_path / "report").exists()


def change(path: Path, what) -> None:
    with h5py.File(path, "r+") as file:
        what(file)


def replace(name: str, value):
    def changed(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return changed


FRAMES = np.zeros((6, 6, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (lambda f: f.attrs.update(format_version=2), "version 2, expected"),
        (lambda f: f.attrs.pop("format"), "have format None"),
        (lambda f: [f.pop(PREDICTION), f.pop(FILM)], "expected a group 'prediction' or 'film'"),
        (lambda f: f[PREDICTION].attrs.pop("context"), r"lack \['context'\]"),
        (lambda f: f[FILM].pop("frames"), r"lack \['frames'\]"),
        (
            replace("prediction/frames", FRAMES[:, :5]),
            r"\(6, 5, 32, 32, 3\) where \(N, 6, H, W, 3\)",
        ),
        (replace("prediction/frames", FRAMES[:4]), r"\(6,\) episodes .* for 4 predictions"),
        (
            replace("prediction/frames", FRAMES * np.float32(np.nan)),
            "float32 where uint8 was expec",
        ),
        (replace("prediction/seeds", [0] * 6), "6 predictions of 3 different episodes"),
        (replace("prediction/seeds", [0, 1] * 3), "the same episodes for every seed and part"),
    ],
)
def test_a_file_of_another_form_is_refused(path: Path, what, message: str) -> None:
    change(path, what)
    with pytest.raises(InputError, match=message):
        PredictionsFile(path)


def test_predictions_of_other_data_are_refused(dataset, path: Path, toy_set: Path) -> None:
    for name in (PREDICTION, FILM):
        with h5py.File(path) as file:
            episodes = file[name]["episodes"][()]
        change(path, replace(f"{name}/episodes", np.where(episodes == 0, 2_500_000, episodes)))
    with (
        PredictionsFile(path) as file,
        pytest.raises(InputError, match="2500000, which is not the"),
    ):
        file.check(dataset, None)


def test_frames_of_another_size_are_refused(dataset, path: Path) -> None:
    change(path, replace("prediction/frames", FRAMES[:, :, :16]))
    with PredictionsFile(path) as file, pytest.raises(InputError, match=r"shape \(16, 32, 3\) wh"):
        file.check(dataset, None)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        PredictionsFile(tmp_path / "absent.hdf5")
    (tmp_path / "text.hdf5").write_text("no")
    with pytest.raises(InputError, match=r"docs/benchmark\.md"):
        PredictionsFile(tmp_path / "text.hdf5")
