"""`worldmodel probe`: what image metrics do not see."""

from pathlib import Path
from typing import Literal

from worldmodel_env.cli.options import set_threads


def probe(
    *,
    world: str = "maze",
    data: Path,
    out: Path,
    only: str = "",
    split: Literal["validation", "test"] = "test",
    context: int = 144,
    horizon: int = 156,
    episodes: int = 64,
    drift_horizon: int = 3000,
    drift_episodes: int = 8,
    event_context: int = 16,
    cell: float | None = None,
    seed: int = 0,
    backend: Literal["auto", "torch", "openvino", "onnxruntime"] = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int = 1,
) -> None:
    """Measure memory, obedience to actions, maps, drift and rare events (docs/probes.md).

    Args:
        world: a shipped world's name or a world's folder.
        data: a recorded data set of the same simulator, with validation and test episodes.
        out: the report's folder: report.json, report.html and a figure per probe; sections that
            another measurement of the same world left there stay.
        only: some of revisit, action_following, theme, flatness, novelty, map_probe, rare_events
            and drift, with commas between; all if not given.
        split: which episodes are measured.
        context: true frames given first.
        horizon: frames imagined.
        episodes: how many episodes at most.
        drift_horizon: frames that drift imagines.
        drift_episodes: of how many walks.
        event_context: true frames before rewards and endings are counted.
        cell: side of a cell of the map in the pose's units; SimMaze-v0's if not given.
        seed: of everything random.
        backend: what runs the world's step.
        device: auto, cpu, cuda, ...
        precision: of the step; auto is bf16 where the processor multiplies it.
        threads: CPU threads.
    """
    from simulators.maze.layout import CELL
    from worldmodel_env.evaluation.figure import require_figures
    from worldmodel_env.evaluation.predictor import WorldPredictor
    from worldmodel_env.evaluation.probes.bench import Bench
    from worldmodel_env.evaluation.probes.run import run_probes
    from worldmodel_env.evaluation.report import Report
    from worldmodel_env.evaluation.report_folder import write_report
    from worldmodel_env.evaluation.report_page import number_text
    from worldmodel_env.imagination.world import World

    require_figures()
    set_threads(threads)
    predictor = WorldPredictor(
        World.load(world), backend, device=device, precision=precision, threads=threads
    )
    bench = Bench(
        predictor, data, split, context, horizon, episodes, CELL if cell is None else cell, seed
    )
    found = run_probes(
        bench,
        out,
        [name.strip() for name in only.split(",")] if only else (),
        event_context=event_context,
        drift_horizon=drift_horizon,
        drift_episodes=drift_episodes,
    )
    about = {"model": predictor.identity(), "probes": {"data": str(data.name), "split": split}}
    write_report(out, Report(predictor.name, about, found))
    for section in found.values():
        print(section.title)
        for name, number in section.numbers.items():
            print(f"  {name:50s} {number_text(number)}")
        for note in section.notes:
            print(f"  {note}")
    print(f"report: {out / 'report.html'}, {out / 'report.json'}")
