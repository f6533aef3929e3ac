"""Quality of a world on mazes it never saw: `python -m benchmarks.quality`.

Records the first test episodes anew (an episode is a function of its seed, so they are the same
everywhere), imagines what they showed, and writes the report of `worldmodel evaluate`.
"""

import shutil
import tempfile
from pathlib import Path

import torch
import tyro

from simulators.recorder import record
from worldmodel_env.evaluation.replay import evaluate_world
from worldmodel_env.imagination.world import World, record_quality

POLICY = "explore=0.75,sloppy=0.13,out-and-back=0.12"


def main(
    world: str = "maze",
    episodes: int = 64,
    context: int = 36,
    horizon: int = 25,
    threads: int = 1,
    out: Path = Path("benchmarks/results/maze.json"),
    pictures: Path | None = None,
    card: bool = False,
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        episodes: test episodes of SimMaze-v0, task explore.
        context: real frames given first.
        horizon: frames imagined.
        threads: CPU threads of torch.
        out: where the JSON goes.
        pictures: a folder for horizons.png and strips.png, if wanted.
        card: also write the numbers into the world's card.
    """
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder) / "maze-v0", Path(folder) / "report"
        task = {"task": "explore"}
        record("SimMaze-v0", data, episodes=0, test=episodes, policy=POLICY, env_kwargs=task)
        loaded = World.load(world)
        result = evaluate_world(
            loaded, data, report, context=context, horizon=horizon, episodes=episodes
        )
        summary = result.summary()
        for name, value in summary.items():
            print(f"{name:<48}{value:12,.3f}")
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(report / "report.json", out)
        if pictures is not None:
            pictures.mkdir(parents=True, exist_ok=True)
            for name in ("horizons.png", "strips.png"):
                shutil.copy(report / name, pictures / name)
        if card:
            key = f"{episodes} test episodes, {context} frames of context"
            record_quality(world, {key: summary})


if __name__ == "__main__":
    tyro.cli(main)
