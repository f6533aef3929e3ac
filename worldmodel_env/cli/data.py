"""`worldmodel record` and `worldmodel data ...`: make data sets and look after them."""

from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldmodel_env.cli.options import parse_pairs, parse_shard, set_threads
from worldmodel_env.errors import InputError

Folder = Annotated[Path, tyro.conf.Positional]


def record(
    simulator: str = "SimMaze-v0",
    *,
    out: Path,
    episodes: int,
    validation: int | None = None,
    test: int | None = None,
    policy: str = "explore",
    task: str | None = None,
    seed: int = 0,
    workers: int = 1,
    shard: str = "0/1",
    max_steps: int | None = None,
    patience: float = 300.0,
    env: tuple[str, ...] = (),
    cluster: Literal["none", "local", "slurm", "ray"] = "none",
    jobs: int = 1,
    job_options: tuple[str, ...] = (),
) -> None:
    """Record episodes of a simulator; run it again to go on or to add.

    Args:
        simulator: a Gymnasium id, "module:id", or "gym:ID" to scale another environment's pictures.
        out: the data set's folder.
        episodes: training episodes.
        validation: validation episodes; a twentieth of the training episodes if not given.
        test: test episodes; likewise.
        policy: explore, goal, random, sloppy, out-and-back, look-around, tour, teco-maze,
            teco-minecraft, teco-habitat, human, agent:FOLDER, sb3:FILE.zip, or a mixture:
            "explore=0.8,sloppy=0.2".
        task: the simulator's task argument, such as goal or explore.
        seed: number of the first episode in each split's range of seeds.
        workers: processes (in each job); 0 records in this one, without a watchdog.
        shard: "k/n" records every n-th episode from the k-th, for n machines.
        max_steps: time limit, if the simulator has none.
        patience: seconds that a step may take; then the simulator counts as hung and is replaced.
        env: arguments for the simulator, as NAME=VALUE; values are JSON or plain text.
        cluster: divide the episodes among jobs: processes here, SLURM's, or Ray's.
        jobs: how many.
        job_options: for the cluster, as NAME=VALUE, such as slurm_partition=cpu timeout_min=240.
    """
    import os
    import sys

    sys.path.append(os.getcwd())  # as with `python -m`: simulators of one's own lie there

    from simulators.cluster import record_on_cluster
    from simulators.recorder import record as record_episodes

    twentieth = max(1, episodes // 20)
    arguments: dict[str, Any] = {
        "episodes": episodes,
        "validation": twentieth if validation is None else validation,
        "test": twentieth if test is None else test,
        "policy": policy,
        "seed": seed,
        "workers": workers,
        "shard": parse_shard(shard),
        "env_kwargs": parse_pairs("--env", env) | ({} if task is None else {"task": task}),
        "max_steps": max_steps,
        "patience": patience,
    }
    if cluster == "none":
        summary = record_episodes(simulator, out, **arguments)
    else:
        options = parse_pairs("--job-options", job_options)
        summary = record_on_cluster(
            simulator, out, cluster=cluster, jobs=jobs, options=options, **arguments
        )
    print(summary)
    if summary.failed:
        raise SystemExit(1)


def data_info(data: Folder) -> None:
    """Count what a data set holds: episodes, frames, actions, policies, returns."""
    from worldmodel_env.data.info import info

    print(info(data))


def data_validate(data: Folder) -> None:
    """Open every file of a data set and check it; exit status 1 if something is wrong."""
    from worldmodel_env.data.validate import validate

    report = validate(data)
    print(report)
    if not report.ok:
        raise SystemExit(1)


def data_pack(data: Folder, *, episodes_per_file: int = 50) -> None:
    """Put single-episode files together into larger shards.

    Args:
        data: the data set's folder.
        episodes_per_file: episodes in a shard.
    """
    from worldmodel_env.data.pack import pack

    print(pack(data, episodes_per_file))


def data_encode(
    data: Folder,
    *,
    out: Path,
    preset: str = "maze",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    skip_corrupt: bool = False,
) -> None:
    """Turn frames into the codes of a trained tokenizer, as training would; run it again to go on.

    Args:
        data: a recorded data set.
        out: the run's folder, which holds the tokenizer; the codes go to OUT/codes.
        preset: named configuration of the tokenizer.
        device: auto, cpu, cuda, ...; as in the training that follows.
        precision: of matrix products; likewise.
        threads: CPU threads; all cores if not given.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.encode import encode_run

    set_threads(threads)
    sets = encode_run(
        load_preset(preset).vqgan,
        data,
        out,
        device=device,
        precision=precision,
        skip_corrupt=skip_corrupt,
    )
    for split, store in sets.items():
        print(f"{split}: {len(store.codes)} frames of {len(store.starts) - 1} episodes")


def data_import(
    source: Folder,
    data: Folder,
    *,
    format: Literal[
        "teco-dmlab", "teco-minecraft", "teco-habitat", "video-folder", "minari", "lerobot"
    ],
    resolution: int | None = None,
    rate: float | None = None,
    length: int | None = None,
    camera: str | None = None,
    validation: float = 0.05,
    test: float = 0.05,
    split_seed: int = 0,
    seed: int = 0,
    workers: int = 1,
    skip_bad: bool = False,
) -> None:
    """Bring a published or own set into a data set; run it again to go on.

    Args:
        source: the set, as it was published.
        data: the data set's folder, made or added to.
        format: layout of the source.
        resolution: side of the frames; the source's own if not given.
        rate: frames per second, of videos; all frames if not given.
        length: frames per episode, into which videos are cut; whole videos if not given.
        camera: which images, of minari and lerobot sets that have several.
        validation: share held out where the source has no validation split.
        test: share held out where the source has no splits.
        split_seed: another one holds out other episodes.
        seed: number of the first episode in each split's range of seeds; another one appends.
        workers: processes.
        skip_bad: leave out what cannot be imported, instead of refusing.
    """
    from worldmodel_env.data.importers.formats import make_importer
    from worldmodel_env.data.importers.run import import_set
    from worldmodel_env.data.importers.splits import Shares

    importer = make_importer(
        format, source, resolution=resolution, rate=rate, length=length, camera=camera
    )
    shares = Shares(validation, test, split_seed)
    print(import_set(importer, data, shares=shares, first=seed, workers=workers, skip_bad=skip_bad))


def data_export(
    data: Folder,
    out: Folder,
    *,
    format: Literal["minari"],
    split: Literal["train", "validation", "test"] | None = None,
) -> None:
    """Write a data set for other programs.

    Args:
        data: a recorded or imported data set.
        out: a new folder; its name ends in a version, such as maze-v0.
        format: minari, for `minari.load_dataset`.
        split: only these episodes.
    """
    from worldmodel_env.data.export import export_minari

    print(export_minari(data, out, split=split))


def data_view(
    data: Folder,
    *,
    out: Path,
    split: Literal["train", "validation", "test"] | None = None,
    episodes: int | None = None,
    seeds: tuple[int, ...] = (),
    columns: int = 8,
    fps: int = 10,
) -> None:
    """Draw episodes with actions, rewards and poses: a contact sheet (.png) or a film (.mp4).

    Args:
        data: a recorded or imported data set.
        out: the .png or .mp4.
        split: only its episodes.
        episodes: how many, evenly spread; 6 on a sheet and 1 in a film if not given.
        seeds: these episodes, instead.
        columns: frames of each episode, on a sheet.
        fps: frames per second of a film.
    """
    from worldmodel_env.data.dataset import TrajectoryDataset
    from worldmodel_env.data.view.choose import choose
    from worldmodel_env.data.view.film import draw_film
    from worldmodel_env.data.view.sheet import save_sheet
    from worldmodel_env.evaluation.video import write_video

    if out.suffix not in (".png", ".mp4"):
        raise InputError(f"--out is {out}: give a name that ends in .png or .mp4")
    dataset = TrajectoryDataset.open(data)
    film = out.suffix == ".mp4"
    refs = choose(dataset, split, episodes or (1 if film else 6), seeds)
    if film:
        write_video(out, draw_film(dataset, refs), fps=fps, scale=1)
    else:
        save_sheet(out, dataset, refs, columns)
    print(out)
