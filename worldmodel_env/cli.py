"""The `worldmodel` command: each function below is a subcommand, its signature the options."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from worldmodel_env._version import __version__
from worldmodel_env.errors import InputError

Folder = Annotated[Path, tyro.conf.Positional]
File = Annotated[Path, tyro.conf.Positional]


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
        shard=_shard(shard),
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

    _set_threads(threads)
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


def train_vqgan(
    *,
    data: Path,
    out: Path,
    preset: str = "maze",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    recompute: bool = False,
    compile: bool = False,
    distributed: Literal["none", "ddp"] = "none",
    learning_rate: float | None = None,
    perceptual: Literal["preset", "none", "alex", "vgg"] = "preset",
    skip_corrupt: bool = False,
) -> None:
    """Train the tokenizer (stage 1 of 2); run it again to resume.

    Args:
        data: a recorded data set.
        out: the run's folder.
        preset: named configuration: maze, nano.
        steps: length in optimizer steps; or
        minutes: length in minutes of training.
        seed: of weights and data order.
        device: auto, cpu, cuda, ...
        precision: of matrix products; auto is bf16 where the processor multiplies it.
        threads: CPU threads; all cores if not given. Fewer when other processes are busy.
        recompute: keep less for the backward pass, which computes it again.
        compile: fuse the model's blocks with torch.compile.
        distributed: ddp divides each batch among the processes started by torchrun.
        learning_rate: the peak, instead of the preset's.
        perceptual: LPIPS network in the loss, instead of the preset's.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from dataclasses import replace

    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.compute import Compute
    from worldmodel_env.training.distributed import is_leader
    from worldmodel_env.training.vqgan import train_vqgan as train

    chosen = load_preset(preset)
    training = chosen.vqgan_training
    if perceptual != "preset":
        training = replace(training, perceptual=perceptual)
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    _set_threads(threads)
    path = train(
        chosen.vqgan,
        training,
        data=data,
        out=out,
        budget=Budget(steps, minutes),
        seed=seed,
        compute=Compute(device, precision, 1, recompute, compile, distributed),
        skip_corrupt=skip_corrupt,
    )
    if is_leader():
        print(f"tokenizer: {path}")


def train_teco(
    *,
    data: Path,
    out: Path,
    preset: str = "maze",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    accumulate: int = 1,
    recompute: bool = False,
    compile: bool = False,
    distributed: Literal["none", "ddp", "fsdp"] = "none",
    learning_rate: float | None = None,
    average: float | None = None,
    name: str | None = None,
    skip_corrupt: bool = False,
) -> None:
    """Train the world model (stage 2 of 2) and save the world; run it again to resume.

    Args:
        data: a recorded data set.
        out: the run's folder, which holds the trained tokenizer; the world goes to OUT/world.
        preset: named configuration: maze, nano.
        steps: length in optimizer steps; or
        minutes: length in minutes of training.
        seed: of weights, clip order and training noise.
        device: auto, cpu, cuda, ...
        precision: of matrix products; auto is bf16 where the processor multiplies it.
        threads: CPU threads; all cores if not given.
        accumulate: parts into which a batch is divided to save memory; the result is the same.
        recompute: keep less for the backward pass, which computes it again.
        compile: fuse the model's blocks with torch.compile.
        distributed: how processes started by torchrun share the work: each with the whole model
            (ddp) or with a share of it (fsdp).
        learning_rate: the peak, instead of the preset's.
        average: decay of an exponential mean of the weights, which then becomes the world; such as
            0.999. 0 keeps none.
        name: the world's name; the preset's if not given.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from dataclasses import replace

    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.compute import Compute
    from worldmodel_env.training.distributed import is_leader
    from worldmodel_env.training.finish import save_world
    from worldmodel_env.training.teco import train_teco as train

    chosen = load_preset(preset)
    training = chosen.teco_training
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    if average is not None:
        training = replace(training, average_decay=average)
    _set_threads(threads)
    path = train(
        chosen.teco,
        training,
        vqgan=chosen.vqgan,
        data=data,
        out=out,
        budget=Budget(steps, minutes),
        seed=seed,
        compute=Compute(device, precision, accumulate, recompute, compile, distributed),
        skip_corrupt=skip_corrupt,
    )
    if not is_leader():
        return
    print(f"world model: {path}")
    folder = save_world(out, data, name=name or preset, preset=preset, skip_corrupt=skip_corrupt)
    print(f"world: {folder}")


def evaluate(
    *,
    world: str = "maze",
    data: Path,
    out: Path,
    split: Literal["validation", "test"] = "test",
    context: int = 36,
    horizon: int = 25,
    episodes: int = 64,
    seed: int = 0,
    record: bool = False,
) -> None:
    """Compare imagination with held-out episodes, replaying their actions.

    Args:
        world: a shipped world's name or a world's folder.
        data: a recorded data set of the same simulator.
        out: folder of the report: report.json, horizons.png, strips.png.
        split: which episodes.
        context: real frames given first.
        horizon: frames imagined.
        episodes: how many episodes at most.
        seed: of the imagination's noise.
        record: also write the numbers into the world's own card (its folder must be writable).
    """
    from dataclasses import replace

    from worldmodel_env.evaluation.replay import evaluate_world
    from worldmodel_env.imagination.world import World, find_world

    loaded = World.load(world)
    result = evaluate_world(
        loaded,
        data,
        out,
        split=split,
        context=context,
        horizon=horizon,
        episodes=episodes,
        seed=seed,
    )
    summary = result.summary()
    for name, value in summary.items():
        print(f"{name:45s} {value:8.3f}")
    for metric, reason in result.horizons.unavailable.items():
        print(f"{metric} was not measured: {reason}")
    print(f"report: {out / 'report.json'}, {out / 'horizons.png'}, {out / 'strips.png'}")
    if record:
        key = f"{result.horizons.episodes} {split} episodes, {context} frames of context"
        replace(loaded, quality={**loaded.quality, key: summary}).save(find_world(world))


def imagine(
    *,
    world: str = "maze",
    out: Path,
    frames: int = 300,
    seed: int = 0,
    threads: int = 1,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> None:
    """Let the scripted walker walk through an imagined world; write a video and a contact sheet.

    Args:
        world: a shipped world's name or a world's folder.
        out: folder for imagined.mp4 and imagined.png.
        frames: length of the walk.
        seed: of the start, the imagination and the walker.
        threads: CPU threads.
        precision: of the step; auto is bf16 where the processor multiplies it.
    """
    from worldmodel_env.demo import imagine_walk

    print(imagine_walk(world, out, frames=frames, seed=seed, threads=threads, precision=precision))


def play(
    *,
    world: str = "maze",
    host: str = "127.0.0.1",
    port: int = 0,
    record: Path | None = None,
    compare: bool = False,
    threads: int = 1,
    browser: bool = True,
) -> None:
    """Open a page in the browser to walk through an imagined world (docs/playing.md).

    Args:
        world: a shipped world's name or a world's folder.
        host: address to bind to; whoever reaches it can walk.
        port: 0 takes a free one.
        record: folder where the page may save walks, as videos and episodes.
        compare: walk the simulator that the world imitates beside it, with the same actions.
        threads: CPU threads of a step.
        browser: open the page, instead of only saying where it is.
    """
    from worldmodel_env.imagination.world import World
    from worldmodel_env.play.run import play as serve

    loaded = World.load(world)
    simulator = None
    if compare:
        from simulators.maze.layout import CELL
        from worldmodel_env.play.simulator import simulator_of

        simulator = simulator_of(loaded, {"SimMaze-v0": CELL})
    serve(
        loaded,
        host=host,
        port=port,
        record=record,
        simulator=simulator,
        threads=threads,
        browser=browser,
    )


def demo(*, out: Path = Path("demo"), minutes: float = 5.0, workers: int = 2) -> None:
    """Imagine in the shipped world, then record, train, evaluate and imagine at small scale.

    Args:
        out: folder for everything the demo makes; run it again to go on where it stopped.
        minutes: training time, a third of it for the tokenizer.
        workers: processes that record.
    """
    from worldmodel_env.demo import run_demo

    run_demo(out, minutes=minutes, workers=workers)


def check_parity(
    file: File, *, temporal_heads: int | None = None, maskgit_heads: int | None = None
) -> None:
    """Compare TECO with the published model's numbers; exit status 1 if a stage differs.

    Args:
        file: the reference's parameters, inputs and outputs, an npz.
        temporal_heads: attention heads of its temporal transformer; the file's if not given.
        maskgit_heads: attention heads of its prior; likewise.
    """
    from worldmodel_env.training.parity import check_parity as check

    report = check(file, temporal_heads=temporal_heads, maskgit_heads=maskgit_heads)
    print(report)
    if not report.ok:
        raise SystemExit(1)


def doctor() -> None:
    """Say what is installed here, what works, and what to do about the rest."""
    from worldmodel_env.doctor import examine

    print(examine())


Tree = Mapping[str, "Callable[..., None] | Tree"]

COMMANDS: Tree = {
    "demo": demo,
    "record": record,
    "data": {
        "info": data_info,
        "validate": data_validate,
        "pack": data_pack,
        "encode": data_encode,
    },
    "train": {"vqgan": train_vqgan, "teco": train_teco},
    "evaluate": evaluate,
    "imagine": imagine,
    "play": play,
    "check-parity": check_parity,
    "doctor": doctor,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand; bad input ends with one sentence on stderr and exit status 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["--version"]:
        print(__version__)
        return
    node: Callable[..., None] | Tree = COMMANDS
    path = ["worldmodel"]
    while isinstance(node, Mapping):
        if not words or words[0] not in node:
            asked_for_help = bool(words) and words[0] in ("-h", "--help")
            print(_usage(path, node), file=sys.stdout if asked_for_help else sys.stderr)
            raise SystemExit(0 if asked_for_help else 2)
        path.append(words.pop(0))
        node = node[path[-1]]
    try:
        tyro.cli(node, prog=" ".join(path), args=words)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _usage(path: list[str], node: Tree) -> str:
    lines = [f"usage: {' '.join(path)} COMMAND ... (each has --help)", ""]
    for name, child in node.items():
        text = ", ".join(child) if isinstance(child, Mapping) else _first_line(child)
        lines.append(f"  {name:12s} {text}")
    return "\n".join(lines)


def _first_line(function: Callable[..., None]) -> str:
    return (function.__doc__ or "").splitlines()[0]


def _shard(text: str) -> tuple[int, int]:
    try:
        k, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"--shard is {text!r}; give k/n, such as 0/4.") from None
    return k, n


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads is {threads}; give 1 or more.")
        torch.set_num_threads(threads)


if __name__ == "__main__":  # for `torchrun -m worldmodel_env.cli`
    main()
