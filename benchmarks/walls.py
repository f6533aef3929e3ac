"""Do walls stop people in a world, as they do in the simulator? `python -m benchmarks.walls`.

From test episodes of SimMaze-v0 whose walkers bump into walls, or catch on corners beside a free
view: each recorded step ahead is foretold from the recorded frames before it, without z. A step
that the simulator stopped should change nothing, any other should. An agent that is paid for goals
walks through what does not stop it.
"""

import tempfile
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor

from benchmarks.report import report
from simulators.maze.motion import FORWARD, STEP
from simulators.recorder import record
from worldmodel_env.data.clips import Clips
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.imagination.world import World
from worldmodel_env.models.odometer import MOVED
from worldmodel_env.training.encoded import encode

FRAMES, BATCH = 111, 32
"""Of an episode at most, about a training clip's; encoded so many at once."""
WHOLE = STEP - 2
"""Units from which a step counts as whole; diagonal ones are rounded."""


def main(
    world: str = "maze",
    size: int = 5,
    episodes: int = 64,
    policies: tuple[str, ...] = ("sloppy", "snag"),
    threads: int = 1,
    out: Path = Path("benchmarks/results/walls.json"),
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        size: of the mazes.
        episodes: test episodes to record, of each policy.
        policies: who walks; agent:FOLDER is a trained agent.
        threads: CPU threads of torch.
        out: where the JSON goes.
    """
    torch.set_num_threads(threads)
    loaded = World.load(world)
    results: dict[str, float] = {}
    for policy in policies:
        for kind, found in measure(loaded, policy, size, episodes).items():
            results[f"{policy}, {kind} steps"] = float(len(found))
            if found:
                results[f"{policy}, {kind} steps: the world moves"] = float(np.mean(found))
    report(results, out, cores=threads, world=loaded)


def measure(world: World, policy: str, size: int, episodes: int) -> dict[str, list[bool]]:
    """By what the simulator made of a step ahead: whether the world moves."""
    model = world.imagination()
    moved: dict[str, list[bool]] = {"stopped": [], "slid": [], "whole": []}
    with tempfile.TemporaryDirectory() as folder:
        kwargs = {"size": size, "task": "goal"}
        record(
            "SimMaze-v0", Path(folder) / "set", episodes=0, test=episodes, policy=policy,
            env_kwargs=kwargs,
        )  # fmt: skip
        data = TrajectoryDataset.open(Path(folder) / "set")
        for ref in data.episodes("test"):
            episode = data.read(ref, 0, min(ref.total_steps + 1, FRAMES))
            changes = foretold(model, episode)
            assert episode.pose is not None
            way = np.hypot(*np.diff(episode.pose[:, :2].astype(np.float64), axis=0).T)
            for action, units, change in zip(episode.actions, way, changes, strict=True):
                if action == FORWARD:
                    kind = "stopped" if units == 0 else "whole" if units >= WHOLE else "slid"
                    moved[kind].append(change >= MOVED)
    return moved


@torch.no_grad()
def foretold(model: Imagination, episode: Episode) -> list[float]:
    """Share of the codes (T,) that each action would change."""
    frames = torch.from_numpy(episode.observations)
    codes = torch.cat([model.vqgan.encode(part) for part in frames.split(BATCH)])[None]
    steps = len(episode.actions)
    clips = Clips(
        codes, torch.from_numpy(episode.actions.astype(np.int64))[None],
        torch.zeros(1, steps), torch.zeros(1, steps, dtype=torch.bool),
        torch.ones(1, steps + 1, dtype=torch.bool),
    )  # fmt: skip
    teco, seen = model.teco, encode(model.teco, clips)
    index = torch.arange(len(seen.target))[-steps:]
    h, skip = teco.predict(seen.h[index], *seen.local(index))
    logits: Tensor = teco.decode(h, teco.empty_z(seen.z[index]), skip)
    changed = logits.argmax(-1) != codes[0, :-1]
    return changed.flatten(1).float().mean(1).tolist()


if __name__ == "__main__":
    tyro.cli(main)
