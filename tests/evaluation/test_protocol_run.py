"""Running a protocol: results, how they are kept, and what a killed run leaves."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from guesses import Guess, Means

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation import measure
from worldmodel_env.evaluation.metrics import PSNR_CAP, WeightsMissing, psnr
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.predictor import CopyLast
from worldmodel_env.evaluation.protocol import FILM, PREDICTION, Part, choose_episodes
from worldmodel_env.evaluation.protocol_run import run_protocol
from worldmodel_env.evaluation.report import Report
from worldmodel_env.evaluation.samples import ModelSource, Sample

FRAMES = Part(PREDICTION, 4, 6)
FILMS = Part(FILM, 3, 7, actions=False, frames=False, film=True)


@pytest.fixture(scope="module")
def dataset(toy_set: Path) -> TrajectoryDataset:
    return TrajectoryDataset.open(toy_set)


@pytest.fixture(autouse=True)
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Means:
    """A stand-in for I3D, whose features must not reach the user's cache."""
    means = Means()
    monkeypatch.setattr(measure, "I3d", lambda: means)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return means


def run(predictor, dataset: TrajectoryDataset, out: Path, parts=(FRAMES,), **options) -> Report:
    options = {"identity": {"weights": 1}, "split": "train", "episodes": 5, **options}
    return run_protocol(ModelSource(predictor), dataset, parts, out, **options)


def long(dataset: TrajectoryDataset) -> list[EpisodeRef]:
    return choose_episodes(dataset, "train", 10, 99)


def test_values_are_those_of_the_metrics(dataset, tmp_path: Path) -> None:
    report = run(Guess(), dataset, tmp_path, seeds=(3,))
    refs = long(dataset)[:5]
    guess, wanted = Guess(batch=1), []
    for ref in refs:
        clip = dataset.read(ref, 0, 10).observations
        key = np.array([Sample(ref, 3).key])
        wanted.append(psnr(clip[4:], guess.predict(clip[None, :4], None, 6, key)[0]))
    section = report.sections[PREDICTION]
    assert section.numbers["PSNR"].value == pytest.approx(np.mean(wanted), abs=1e-5)
    (line,) = [x for x in section.charts[0].lines if x.name == "guess"]
    assert line.mean == pytest.approx(np.mean(wanted, 0), abs=1e-5)
    assert section.details["episodes"] == [ref.id for ref in refs]


def test_the_batch_does_not_matter(dataset, tmp_path: Path) -> None:
    found = [run(Guess(batch=b), dataset, tmp_path / str(b)).sections for b in (1, 2, 8)]
    assert found[0] == found[1] == found[2]


def test_groups_and_seeds_have_their_spread(dataset, tmp_path: Path) -> None:
    section = run(Guess(), dataset, tmp_path, seeds=(0, 1), group=2).sections[PREDICTION]
    groups = section.details["groups"]["psnr.model"]
    assert len(groups) == 2 * 2, "five episodes make two groups of two, for each seed"
    assert section.numbers["PSNR"].std == pytest.approx(np.std(groups, ddof=1), abs=1e-5)
    assert len(section.details["by_seed"]["psnr.model"]) == 2
    assert not section.notes
    same = run(CopyLast(batch=2), dataset, tmp_path, seeds=(0, 1)).sections[PREDICTION]
    assert "nothing to chance" in same.notes[0]
    alone = run(Guess(), dataset, tmp_path).sections[PREDICTION].numbers["PSNR"]
    assert alone.std is None


class Oracle(Guess):
    def __init__(self, dataset: TrajectoryDataset) -> None:
        super().__init__("oracle")
        self.clips = {r.id: dataset.read(r, 0, 10).observations for r in long(dataset)}

    def predict(self, frames, actions, horizon, seeds):
        return np.stack([self.clips[int(seed) % (1 << 32)][4:] for seed in seeds])


def test_identical_frames_are_capped_and_counted(dataset, tmp_path) -> None:
    report = run(Oracle(dataset), dataset, tmp_path, ceiling=lambda frames: frames)
    section = report.sections[PREDICTION]
    assert section.numbers["PSNR"].value == PSNR_CAP
    assert section.details["groups"]["psnr.tokenizer"] == [PSNR_CAP]
    counts = {"oracle": 30, "last frame copied": 0, "its tokenizer alone": 30}
    assert section.details["identical_frames"] == counts
    assert section.notes[0].startswith("30 predicted frames equal the true one in every byte")


def test_copying_is_shown_once_though_it_is_the_reference_too(dataset, tmp_path: Path) -> None:
    section = run(CopyLast(batch=2), dataset, tmp_path).sections[PREDICTION]
    assert [line.name for line in section.charts[0].lines] == ["last frame copied"]
    other = run(Guess(), dataset, tmp_path / "other").sections[PREDICTION]
    assert section.charts[0].lines[0] == other.charts[0].lines[1]


def test_results_are_used_again_for_the_same_model_only(dataset, tmp_path: Path) -> None:
    first, second, other = Guess(), Guess(), Guess()
    report = run(first, dataset, tmp_path)
    assert run(second, dataset, tmp_path) == report
    assert (first.calls, second.calls) == (3, 0)
    run(second, dataset, tmp_path, episodes=7)
    assert second.calls == 2, "the batch that had room is predicted again, whole"
    run(other, dataset, tmp_path, identity={"weights": 2})
    assert other.calls == 3


def test_a_damaged_result_is_made_again(dataset, tmp_path: Path) -> None:
    report = run(Guess(), dataset, tmp_path)
    file = sorted((tmp_path / "results").glob("*/*.npz"))[0]
    file.write_bytes(file.read_bytes()[:100])
    guess = Guess()
    assert run(guess, dataset, tmp_path) == report
    assert guess.calls == 1


KILLED = """
import os, signal, sys
sys.path[:0] = sys.argv[3:]
from guesses import Guess
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.protocol import PREDICTION, Part
from worldmodel_env.evaluation.protocol_run import run_protocol
from worldmodel_env.evaluation.samples import ModelSource

class Mortal(Guess):
    def predict(self, *arguments):
        if self.calls == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(*arguments)

run_protocol(
    ModelSource(Mortal()), TrajectoryDataset.open(sys.argv[1]), [Part(PREDICTION, 4, 6)],
    __import__("pathlib").Path(sys.argv[2]), identity={"weights": 1}, split="train", episodes=7,
)
"""


def test_a_killed_run_goes_on_to_the_same_report(toy_set, dataset, tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", KILLED, str(toy_set), str(tmp_path / "killed"), here]
    killed = subprocess.run([*command, str(Path(here).parent)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "report.json").exists()
    guess = Guess()
    resumed = run(guess, dataset, tmp_path / "killed", episodes=7)
    assert guess.calls == 2, "two of four batches were on disk"
    assert resumed == run(Guess(), dataset, tmp_path / "whole", episodes=7)
    reports = [(tmp_path / d / "report.json").read_bytes() for d in ("killed", "whole")]
    assert reports[0] == reports[1]


def test_films_are_compared_with_a_floor(dataset, tmp_path: Path, networks: Means) -> None:
    guess = Guess()
    report = run(guess, dataset, tmp_path, parts=(FRAMES, FILMS))
    assert guess.told is False
    section = report.sections["film"]
    assert section.details["films"] == 5
    assert section.details["frames"] == 10
    assert section.details["fewer_films_than_features"]
    assert "too few for FVD" in section.notes[0]
    assert section.details["floor"]["splits"] == ["train"]
    assert section.numbers["FVD"].value >= 0
    assert section.numbers["FVD of true films"].value == section.details["floor"]["FVD"]
    assert section.numbers["FVD"].unit == "(5 films, 10 frames)"
    assert networks.films == 5 + 5 + 5
    run(Guess(name="another"), dataset, tmp_path / "other", parts=(FILMS,))
    assert networks.films == 15 + 5, "true films are looked at once, whatever the model"


def test_without_other_episodes_there_is_no_floor(dataset, tmp_path: Path) -> None:
    report = run(Guess(), dataset, tmp_path, parts=(FILMS,), episodes=12)
    section = report.sections["film"]
    assert section.details["floor"] == {"FVD": None, "KVD": None, "splits": ["test", "validation"]}
    assert any("No floor: the data set has only" in note for note in section.notes)
    assert section.tables[0].rows[1][1] is None


def test_without_weights_metrics_are_null_with_the_reason(
    dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_):
        raise WeightsMissing("run make metrics-weights")

    monkeypatch.setattr(measure, "Lpips", missing)
    monkeypatch.setattr(measure, "I3d", missing)
    guess = Guess()
    report = run(guess, dataset, tmp_path, parts=(FRAMES, FILMS))
    assert guess.calls == 3, "films that nothing can measure are not predicted"
    read = json.loads((tmp_path / "report.json").read_text())["sections"]
    assert read[PREDICTION]["numbers"]["LPIPS"]["value"] is None
    assert read["film"]["numbers"]["FVD"]["value"] is None
    assert read["film"]["notes"] == ["FVD: run make metrics-weights"]
    assert "LPIPS: run make metrics-weights" in report.sections[PREDICTION].notes
    assert "not measured" in (tmp_path / "report.html").read_text()


def test_one_film_has_no_distance(dataset, tmp_path: Path) -> None:
    section = run(Guess(), dataset, tmp_path, parts=(FILMS,), episodes=1).sections["film"]
    assert section.numbers["KVD"].value is None
    assert section.notes == ("FVD needs 2 films and more; there is 1.",)


class Wrong(Guess):
    def __init__(self, change) -> None:
        super().__init__("wrong")
        self.change = change

    def predict(self, *arguments):
        return self.change(super().predict(*arguments))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[:, 1:], r"uint8 \(2, 5, 32, 32, 3\) where uint8 \(2, 6, 32, 32, 3\)"),
        (lambda f: f / 255, r"float64 \(2, 6, 32, 32, 3\) where uint8"),
        (lambda f: np.full(f.shape, np.nan, np.float32), "36864 values that are not finite"),
    ],
)
def test_predictions_that_are_no_frames_are_refused(dataset, tmp_path, change, message) -> None:
    with pytest.raises(InputError, match=message):
        run(Wrong(change), dataset, tmp_path)
    assert not list(tmp_path.glob("results/*/*"))


@pytest.mark.parametrize("seeds", [(), (0, 0), (-1,), (1 << 30,)])
def test_seeds_out_of_range_are_refused(dataset, tmp_path: Path, seeds) -> None:
    with pytest.raises(InputError, match="seeds are"):
        run(Guess(), dataset, tmp_path, seeds=seeds)
    with pytest.raises(InputError, match="group is 0"):
        run(Guess(), dataset, tmp_path, group=0)


def test_a_folder_that_cannot_be_made_is_refused(dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        run(Guess(), dataset, tmp_path / "file")


def test_lpips_is_the_alex_net(dataset, tmp_path: Path) -> None:
    report = run(CopyLast(batch=2), dataset, tmp_path, episodes=1)
    clip = dataset.read(long(dataset)[0], 0, 10).observations
    wanted = Lpips("alex").distance(clip[4:], np.broadcast_to(clip[3], clip[4:].shape)).mean()
    assert report.sections[PREDICTION].numbers["LPIPS"].value == pytest.approx(wanted, abs=1e-5)
