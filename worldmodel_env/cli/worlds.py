"""Commands that use worlds: `imagine`, `play`, `average`, `demo`; and `doctor`."""

from pathlib import Path
from typing import Literal


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


def average(*, worlds: tuple[str, str], out: Path, share: float = 0.5) -> None:
    """Make the world whose weights lie between those of two (docs/training-a-world.md).

    Args:
        worlds: names or folders of a world and of one that was trained on from it.
        out: folder of the new world; it has the name and the starts of the second.
        share: of the way from the first to the second.
    """
    from worldmodel_env.imagination.world import World
    from worldmodel_env.training.average import average as between

    before, after = (World.load(world) for world in worlds)
    print(f"world: {between(before, after, share).save(out)}")


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

    for line in examine():
        print(line, flush=True)
