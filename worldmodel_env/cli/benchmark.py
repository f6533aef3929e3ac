"""`worldmodel benchmark`: TECO beside its baselines."""

from pathlib import Path
from typing import Literal

from worldmodel_env.cli.options import set_threads


def benchmark(
    *,
    data: Path,
    out: Path,
    minutes: float,
    seeds: tuple[int, ...] = (0, 1, 2),
    models: tuple[str, ...] = (),
    scale: Literal["small", "nano", "paper"] = "small",
    world: str = "maze",
    revisit: Path | None = None,
    cell: float | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int = 1,
) -> None:
    """Train TECO and the baselines for equal time and compare them; run it again to go on.

    Args:
        data: a recorded data set with train, validation and test episodes.
        out: the benchmark's folder: benchmark.json, benchmark.png and a folder per training.
        minutes: of CPU time for each training; on an accelerator, of its time.
        seeds: trainings of each model.
        models: some of teco, recurrent_latent, space_time, latent_diffusion, copy_last; all if not
            given.
        scale: sizes and protocol; small fits 2 CPU cores, paper needs accelerators.
        world: whose tokenizer all models share, a shipped world's name or a folder.
        revisit: another data set to look for returns in, such as one of out-and-back walks.
        cell: side of a cell of the map in the pose's units; SimMaze-v0's if not given.
        device: auto, cpu, cuda, ...
        precision: of the training's matrix products; predictions are in float32.
        threads: CPU threads.
    """
    from simulators.maze.layout import CELL
    from worldmodel_env.training.benchmark import Wish, run_benchmark
    from worldmodel_env.training.compute import Compute

    set_threads(threads)
    run_benchmark(
        Wish(
            data,
            out,
            minutes,
            seeds,
            models,
            scale,
            world,
            revisit,
            CELL if cell is None else cell,
            Compute(device, precision),
        )
    )
