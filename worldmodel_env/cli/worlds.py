"""Commands that use a world: `evaluate`, `imagine`, `play`, `demo`; and `doctor`."""

from pathlib import Path
from typing import Literal


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


def doctor() -> None:
    """Say what is installed here, what works, and what to do about the rest."""
    from worldmodel_env.doctor import examine

    print(examine())
