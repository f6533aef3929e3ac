"""`worldmodel demo`: the whole spine in a few minutes, and something to look at at every stage."""

import time
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from numpy.typing import NDArray

from worldmodel_env.precision import Precision


@dataclass(frozen=True)
class Walk:
    """A walk through an imagined world: where it was written, and how fast frames came."""

    video: Path
    sheet: Path
    frames: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"imagined {self.frames} frames in {self.seconds:.1f} s "
            f"({self.frames / self.seconds:.0f} frames/s): {self.video}, {self.sheet}"
        )


def imagine_walk(
    world: str | Path,
    out: Path,
    *,
    frames: int = 300,
    seed: int = 0,
    threads: int = 1,
    precision: Precision = "auto",
) -> Walk:
    """Let the scripted walker act in `TecoMaze-v0`; write out/imagined.mp4 and out/imagined.png.

    Args:
        world: a shipped world's name or a world's folder.
        out: folder, made if absent.
        frames: number of imagined frames; a terminated episode is followed by another.
        seed: of the environment and the walker.
        threads: CPU threads.
        precision: of the step.

    Raises:
        InputError: no such world.
    """
    from agents.walker import Walker
    from worldmodel_env.evaluation.strips import write_contact_sheet
    from worldmodel_env.evaluation.video import write_video

    env = gymnasium.make(
        "worldmodel_env:TecoMaze-v0",
        world=str(world),
        threads=threads,
        precision=precision,
        max_episode_steps=frames,
    )
    walker = Walker(seed)
    observation, _ = env.reset(seed=seed)
    shown: list[NDArray[np.uint8]] = [observation]
    began = time.perf_counter()
    for _ in range(frames):
        observation, _, terminated, truncated, _ = env.step(walker.act(observation))
        shown.append(observation)
        if terminated or truncated:
            observation, _ = env.reset()
    seconds = time.perf_counter() - began
    env.close()
    out.mkdir(parents=True, exist_ok=True)
    film = np.stack(shown)
    write_video(out / "imagined.mp4", film)
    write_contact_sheet(out / "imagined.png", film, columns=15, every=3)
    return Walk(out / "imagined.mp4", out / "imagined.png", frames, seconds)


def export_shipped() -> str:
    """Export the world `maze` once, so that the backend "auto" is the fastest; says what it is."""
    from worldmodel_env.errors import InputError
    from worldmodel_env.imagination.backend import fastest
    from worldmodel_env.imagination.export.cached import cached_export
    from worldmodel_env.imagination.export.manifest import Options
    from worldmodel_env.imagination.world import World

    world = World.load("maze")
    try:
        cached_export(world, Options(world.config.sampling))
    except InputError as error:
        return f"not exported: {error} Backend: {fastest(world)}."
    return f"exported; backend: {fastest(world)}"


def run_demo(out: Path, *, minutes: float, workers: int) -> None:
    """Export the shipped world and imagine in it; then record, train, evaluate, imagine anew.

    Args:
        out: folder for everything; what it already holds is not made again.
        minutes: of training, a third of it for the tokenizer.
        workers: recording processes.
    """
    from simulators.recorder import record
    from worldmodel_env.evaluation.replay import evaluate_world
    from worldmodel_env.imagination.world import World
    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.finish import save_world
    from worldmodel_env.training.teco import train_teco
    from worldmodel_env.training.vqgan import train_vqgan

    written: list[str] = []
    print("1/6 export: the step of the shipped world, for the runtimes that are installed")
    print(f"    {export_shipped()}")

    print("2/6 imagine: the scripted walker in the shipped world")
    shipped = imagine_walk("maze", out)
    written.append(f"{shipped.video}, {shipped.sheet}: a walk through the shipped world")
    print(f"    {shipped}")

    print("3/6 record: 40 episodes of SimMaze-v0, and 8 + 8 to hold out")
    data = out / "recordings"
    summary = record(
        "SimMaze-v0",
        data,
        episodes=40,
        validation=8,
        test=8,
        policy="explore=0.7,goal=0.3",
        workers=workers,
    )
    print(f"    {summary}")
    written.append(f"{data}: recorded episodes")

    print(f"4/6 train: tokenizer, then world model, {minutes:g} minutes in all")
    preset = load_preset("maze")
    train_vqgan(
        preset.vqgan, preset.vqgan_training, data=data, out=out, budget=Budget(minutes=minutes / 3)
    )
    train_teco(
        preset.teco,
        preset.teco_training,
        vqgan=preset.vqgan,
        data=data,
        out=out,
        budget=Budget(minutes=minutes * 2 / 3),
    )
    folder = save_world(out, data, name="demo", preset="maze")
    written.append(f"{folder}: the small world, for gymnasium.make(..., world={str(folder)!r})")

    print("5/6 evaluate: held-out episodes, actions replayed")
    report = out / "report"
    result = evaluate_world(World.load(folder), data, report, context=12, horizon=10)
    for name, value in result.summary().items():
        print(f"    {name:45s} {value:8.3f}")
    written.append(f"{report}: what {minutes:g} minutes of training reach, with plots")

    print("6/6 imagine: the scripted walker in the new world")
    small = imagine_walk(folder, out / "small", frames=100)
    written.append(f"{small.video}, {small.sheet}: a walk through the small world")
    print(f"    {small}")
    print("written:", *written, sep="\n  ")
