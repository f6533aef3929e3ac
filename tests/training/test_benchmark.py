"""`worldmodel benchmark`: all models trained and evaluated, gone on with, and told in a table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy_env
from nano import make_nano

from simulators.recorder import record
from worldmodel_env.cli import main
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.benchmark_table import format_table
from worldmodel_env.training import benchmark, benchmark_plan
from worldmodel_env.training.benchmark import Forecast, Wish, run_benchmark
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.suites import SUITES, load_suite

MODELS = ("teco", "recurrent_latent", "space_time", "latent_diffusion")
SECONDS = 0.3


@pytest.fixture(scope="module")
def wish(tmp_path_factory: pytest.TempPathFactory) -> Wish:
    """Fractions of a second for each model, on a data set of 64 x 64 frames."""
    root = tmp_path_factory.mktemp("benchmark")
    record(
        toy_env.ID, root / "set", episodes=3, validation=2, test=8, policy="random",
        progress=False, env_kwargs={"image_size": 64, "task": "wander"},
    )  # fmt: skip
    world = make_nano(resolution=64).save(root / "world")
    return Wish(
        root / "set", root / "out", SECONDS / 60, (0,), (), "nano", str(world), None, 24.0,
        Compute("cpu", "fp32"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(wish: Wish) -> dict[str, Any]:
    """The benchmark of `wish`."""
    return run_benchmark(wish, say=lambda text: None)


def test_every_model_is_trained_for_its_time_and_measured(wish: Wish, done: dict[str, Any]) -> None:
    assert json.loads((wish.out / "benchmark.json").read_text()) == done
    assert (wish.out / "benchmark.png").stat().st_size > 10_000
    assert set(done["results"]) == {"copy_last", *MODELS}
    for name in MODELS:
        plan, scores = done["plan"][name], done["results"][name]["0"]
        assert plan["steps"] == max(1, round(SECONDS / plan["seconds_per_step"]))
        assert Checkpoint.open(wish.out / f"{name}-0").counters["step"] == plan["steps"]
        assert 0.1 < scores["minutes"] * 60 / SECONDS < 10
        values = scores["values"]
        assert {"PSNR", "SSIM", "LPIPS", "LPIPS at 8", "revisit PSNR", "seconds a frame"} <= set(
            values
        )
        assert 3 < values["PSNR"] < 60
        assert len(scores["curves"]["PSNR"]) == 8
    assert done["protocol"]["returns"] > 0
    assert done["ceiling"]["PSNR"] > 0


def test_the_table_tells_them_all(done: dict[str, Any]) -> None:
    header, rule, *rows = format_table(done).splitlines()
    assert [row.split("|")[1].strip() for row in rows] == [
        "copy_last", *MODELS, "tokenizer, simulator"
    ]  # fmt: skip
    assert len({line.count("|") for line in (header, rule, *rows)}) == 1
    assert len({len(line) for line in (header, rule, *rows)}) == 1
    two = {**done, "results": {"teco": {"0": _scores(10.0), "1": _scores(12.0)}}, "ceiling": {}}
    assert "| 11.00 ± 1.41 |" in format_table(two)


def _scores(psnr: float) -> dict[str, Any]:
    return {"values": {"PSNR": psnr, "LPIPS": None}, "curves": {}}


def test_run_again_it_trains_and_measures_nothing(
    wish: Wish, done: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError(arguments)

    monkeypatch.setattr(benchmark, "train", never)
    monkeypatch.setattr(benchmark, "make_predictor", never)
    assert run_benchmark(wish, say=lambda text: None) == done


def test_interrupted_and_run_again_it_equals_one_undisturbed(
    wish: Wish, done: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = replace(wish, out=tmp_path, models=("space_time",))
    tmp_path.joinpath(benchmark_plan.PLAN).write_text((wish.out / benchmark_plan.PLAN).read_text())
    step = benchmark_plan.Metered.step

    def interrupted(self: Any, number: int, progress: float) -> dict[str, float]:
        if number == 3:
            raise KeyboardInterrupt
        return step(self, number, progress)

    with monkeypatch.context() as patch:
        patch.setattr(benchmark_plan.Metered, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(again, say=lambda text: None)
    content = run_benchmark(again, say=lambda text: None)
    found = content["results"]["space_time"]["0"]["values"]
    expected = done["results"]["space_time"]["0"]["values"]
    timed = "seconds a frame"
    assert {**found, timed: 0} == {**expected, timed: 0}


def test_another_time_or_tokenizer_is_refused(wish: Wish, done: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"holds a benchmark with another minutes; use the same"):
        run_benchmark(replace(wish, minutes=2.0))
    with pytest.raises(InputError, match="holds a benchmark of another teco"):
        run_benchmark(replace(wish, scale="small", models=("teco",)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"minutes": 0.0}, "give minutes above zero"),
        ({"seeds": (1, 1)}, "different seeds"),
        ({"models": ("gan",)}, "model 'gan' is unknown; choose from teco, recurrent_latent"),
        ({"scale": "huge"}, "scale 'huge' is unknown; use one of small, nano, paper"),
    ],
)
def test_bad_wishes_are_refused(wish: Wish, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_benchmark(replace(wish, **change))


def test_the_command_takes_the_same_words(
    wish: Wish, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        ["benchmark", "--data", str(wish.data), "--out", str(tmp_path), "--minutes", "0.002",
         "--seeds", "3", "--models", "latent_diffusion", "--scale", "nano", "--world", wish.world,
         "--cell", "24", "--precision", "fp32"]
    )  # fmt: skip
    said = capsys.readouterr().out
    assert "[1/1] latent_diffusion, seed 3:" in said
    assert "| latent_diffusion " in said


def test_the_suites_hold_the_same_models() -> None:
    assert {tuple(load_suite(name).entries) for name in SUITES} == {MODELS}


def test_a_forecast_learns_how_long_a_job_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    forecast = Forecast(3, minutes=60.0)
    assert str(forecast) == "about 3.0 h left and the evaluations"
    times = iter((0.0, 7200.0, 7200.0, 7201.0))
    monkeypatch.setattr(benchmark.time, "monotonic", lambda: next(times))
    with forecast:
        pass
    assert str(forecast) == "about 4.0 h left"
    with forecast:  # was there already
        pass
    assert str(forecast) == "about 2.0 h left"
