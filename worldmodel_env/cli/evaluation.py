"""`worldmodel evaluate`, `score` and `compare`: how good predictions are."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from worldmodel_env.cli.options import set_threads
from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from worldmodel_env.evaluation.report import Report

File = Annotated[Path, tyro.conf.Positional]


def evaluate(
    *,
    world: str = "maze",
    data: Path,
    out: Path,
    protocol: Literal["clip", "teco"] = "clip",
    split: Literal["validation", "test"] = "test",
    context: int = 36,
    horizon: int = 25,
    episodes: int = 64,
    seed: int = 0,
    seeds: int = 1,
    group: int = 256,
    film: bool = True,
    film_actions: Literal["published", "with", "without"] = "published",
    backend: Literal["auto", "torch", "torch-compiled", "openvino", "onnxruntime"] = "torch",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    batch: int = 16,
    threads: int | None = None,
    record: bool = False,
) -> None:
    """Compare imagination with held-out episodes, replaying their actions.

    Args:
        world: a shipped world's name or a world's folder.
        data: a recorded data set of the same simulator.
        out: the report's folder; with --protocol teco run it again to go on where it stopped.
        protocol: clip: --context and --horizon, quickly; teco: the benchmark of docs/benchmark.md,
            whose options are those from --seeds to --threads.
        split: which episodes.
        context: clip: real frames given first.
        horizon: clip: frames imagined.
        episodes: how many episodes at most.
        seed: of the imagination's noise; the first one, if there are several.
        seeds: teco: predictions of each episode.
        group: teco: episodes of a group; spreads are over groups, FVD is of one.
        film: teco: measure FVD and KVD of 300 frames too, which on a CPU takes most of the time.
        film_actions: teco: replay actions in films; published: not for DMLab and Habitat.
        backend: teco: what runs the world's step.
        device: teco: auto, cpu, cuda, ...
        precision: teco: of the world's step.
        batch: teco: episodes imagined at once.
        threads: teco: CPU threads; all cores if not given.
        record: clip: also write the numbers into the world's own card (its folder must be
            writable).
    """
    from worldmodel_env.imagination.world import World

    loaded = World.load(world)
    if protocol == "clip":
        _clip(loaded, world, data, out, split, context, horizon, episodes, seed, record)
        return
    if record:
        raise InputError("--record is of --protocol clip; leave it out.")
    import torch

    from worldmodel_env.data.dataset import TrajectoryDataset
    from worldmodel_env.evaluation.predictor import WorldPredictor
    from worldmodel_env.evaluation.protocol import teco_protocol
    from worldmodel_env.evaluation.protocol_run import run_protocol
    from worldmodel_env.evaluation.samples import ModelSource
    from worldmodel_env.precision import resolve_device

    set_threads(threads)
    dataset = TrajectoryDataset.open(data)
    parts = teco_protocol(dataset, film=film, film_actions=film_actions)
    predictor = WorldPredictor(
        loaded, backend, batch=batch, device=device, precision=precision,
        threads=torch.get_num_threads(),
    )  # fmt: skip
    predictor.check(dataset)
    report = run_protocol(
        ModelSource(predictor),
        dataset,
        parts,
        out,
        identity=predictor.identity(),
        split=split,
        episodes=episodes,
        seeds=range(seed, seed + seeds),
        group=group,
        ceiling=predictor.reconstruct,
        device=resolve_device(device),
    )
    _print(report, out)
    if (found := report.about["data"]["episodes"]) < episodes:
        print(f"only {found} episodes of the {episodes} asked for are long enough")


def score(
    predictions: File,
    data: File,
    *,
    out: Path,
    protocol: Literal["teco", "clip"] = "teco",
    film_actions: Literal["published", "with", "without"] = "published",
    group: int = 256,
    device: str = "auto",
    threads: int | None = None,
) -> None:
    """Score a file of predicted frames of any model (docs/benchmark.md).

    Args:
        predictions: an HDF5 file.
        data: the recorded data set that it predicts episodes of.
        out: the report's folder; run it again to go on where it stopped.
        protocol: teco refuses other contexts and horizons than the benchmark's; clip takes any.
        film_actions: teco: films are predicted with actions; published: not for DMLab and Habitat.
        group: episodes of a group; spreads are over groups, FVD is of one.
        device: auto, cpu, cuda, ...
        threads: CPU threads; all cores if not given.
    """
    from worldmodel_env.data.dataset import TrajectoryDataset
    from worldmodel_env.evaluation.predictions import PredictionsFile
    from worldmodel_env.evaluation.protocol import teco_protocol
    from worldmodel_env.evaluation.protocol_run import run_protocol
    from worldmodel_env.precision import resolve_device

    set_threads(threads)
    dataset = TrajectoryDataset.open(data)
    wanted = teco_protocol(dataset, film_actions=film_actions) if protocol == "teco" else None
    with PredictionsFile(predictions) as file:
        refs, parts = file.check(dataset, wanted)
        report = run_protocol(
            file, dataset, parts, out, identity=file.identity(), refs=refs, seeds=file.seeds,
            group=group, device=resolve_device(device),
        )  # fmt: skip
    _print(report, out)


def compare(reports: Annotated[tuple[Path, ...], tyro.conf.Positional], *, out: Path) -> None:
    """Put several reports on one page.

    Args:
        reports: folders that `evaluate --protocol teco`, `score` or `probe` wrote.
        out: the HTML file.
    """
    from worldmodel_env.evaluation.compare import compare as write

    print(f"page: {write(reports, out)}")


def _clip(
    world, name: str, data: Path, out: Path, split: str, context: int, horizon: int,
    episodes: int, seed: int, record: bool,
) -> None:  # fmt: skip
    from worldmodel_env.evaluation.replay import evaluate_world
    from worldmodel_env.imagination.world import record_quality

    result = evaluate_world(
        world,
        data,
        out,
        split=split,
        context=context,
        horizon=horizon,
        episodes=episodes,
        seed=seed,
    )
    summary = result.summary()
    for number, value in summary.items():
        print(f"{number:45s} {value:8.3f}")
    for metric, reason in result.horizons.unavailable.items():
        print(f"{metric} was not measured: {reason}")
    print(f"report: {out / 'report.json'}, {out / 'horizons.png'}, {out / 'strips.png'}")
    if record:
        key = f"{result.horizons.episodes} {split} episodes, {context} frames of context"
        record_quality(name, {key: summary})


def _print(report: "Report", out: Path) -> None:
    for line in _lines(report):
        print(line)
    print(f"report: {out / 'report.html'}, {out / 'report.json'}")


def _lines(report: "Report") -> Iterator[str]:
    from worldmodel_env.evaluation.report_page import number_text

    for section in report.sections.values():
        for name, number in section.numbers.items():
            yield f"{name:18s} {number_text(number)}"
        yield from section.notes
