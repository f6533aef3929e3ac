"""`worldmodel record` and `worldmodel data ...`: make data sets and look after them."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from worldmodel_env.cli.options import parse_shard, set_threads

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
) -> None:
    """Record episodes of a simulator; run it again to go on or to add.

    Args:
        simulator: a Gymnasium id, or "module:id".
        out: the data set's folder.
        episodes: training episodes.
        validation: validation episodes; a twentieth of the training episodes if not given.
        test: test episodes; likewise.
        policy: explore, goal, random, sloppy, out-and-back, or a mixture: "explore=0.8,sloppy=0.2".
        task: the simulator's task argument, such as goal or explore.
        seed: number of the first episode in each split's range of seeds.
        workers: processes.
        shard: "k/n" records every n-th episode from the k-th, for n machines.
        max_steps: time limit, if the simulator has none.
    """
    from simulators.recorder import record as record_episodes

    twentieth = max(1, episodes // 20)
    summary = record_episodes(
        simulator,
        out,
        episodes=episodes,
        validation=twentieth if validation is None else validation,
        test=twentieth if test is None else test,
        policy=policy,
        seed=seed,
        workers=workers,
        shard=parse_shard(shard),
        env_kwargs={} if task is None else {"task": task},
        max_steps=max_steps,
    )
    print(summary)


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
