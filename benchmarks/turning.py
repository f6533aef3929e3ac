"""Does a world invent goals? `python -m benchmarks.turning`.

From moments of test episodes of SimMaze-v0 whose last frames show no goal, turn right: in the
simulator, replayed to that moment, and in a world that is shown those frames. An agent that
is paid for goals finds any that a world invents.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
import tyro
from numpy.typing import NDArray

import simulators  # noqa: F401  registers SimMaze-v0
import worldmodel_env  # noqa: F401  registers TecoMaze-v0
from benchmarks.report import report, write_picture
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.imagination.world import World

RIGHT, BATCH, GAP = 1, 16, 6
POLICY = "explore=0.5,look-around=0.5"
TOLD = (4, 8, 16, 32, 48)
PIXELS = 10
"""Magenta ones that make a goal: nothing else in SimMaze-v0 has that colour."""

Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Moment:
    """Where to turn: a recorded episode up to some step.

    Attributes:
        seed: of the maze.
        actions: (T,) all until then.
        frames: (C, H, W, 3) the last ones.
    """

    seed: int
    actions: NDArray[np.int64]
    frames: Frames


def main(
    world: str = "maze",
    size: int = 5,
    episodes: int = 128,
    context: int = 32,
    turns: int = 48,
    latents: int = 0,
    threads: int = 1,
    out: Path = Path("benchmarks/results/turning.json"),
    picture: Path | None = None,
) -> None:
    """Measure and report.

    Args:
        world: a shipped world's name or a world's folder.
        size: of the mazes.
        episodes: test episodes to record, with at most a moment each.
        context: frames that show no goal.
        turns: steps to turn; 16 are a circle.
        latents: passes in which the world draws latents; 0: it draws none, as for agents.
        threads: CPU threads of torch.
        out: where the JSON goes.
        picture: where six moments go, if wanted: above the simulator, below the world.
    """
    torch.set_num_threads(threads)
    maze: dict[str, Any] = {"size": size, "task": "goal"}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "set"
        record("SimMaze-v0", data, episodes=0, test=episodes, policy=POLICY, env_kwargs=maze)
        moments = goalless(TrajectoryDataset.open(data), context)
    true = np.stack([simulated(moment, maze, turns) for moment in moments], 1)
    imagined = np.concatenate(
        [
            dreamt(moments[i : i + BATCH], world, latents, turns)
            for i in range(0, len(moments), BATCH)
        ],
        1,
    )
    results: dict[str, float] = {"moments": len(moments)}
    for name, frames in (("simulator", true), ("world", imagined)):
        for k in (k for k in TOLD if k <= turns):
            seen = shows_goal(frames[:k]).any(0).mean()
            results[f"{name}: a goal seen within {k} turns"] = float(seen)
    report(results, out, cores=threads, world=World.load(world))
    if picture is not None:
        draw(true, imagined, picture)


def shows_goal(frames: Frames) -> NDArray[np.bool_]:
    """(..., H, W, 3) -> (...): whether the magenta ball is in view."""
    red, green, blue = np.moveaxis(frames.astype(np.int16), -1, 0)
    magenta = (red > 170) & (blue > 140) & (green < 110)
    enough: NDArray[np.bool_] = magenta.sum((-1, -2)) >= PIXELS
    return enough


def goalless(data: TrajectoryDataset, context: int) -> list[Moment]:
    """A moment of each episode, as chance picks it, whose last frames show no goal."""
    random, moments = np.random.default_rng(0), []
    for ref in data.episodes("test"):
        episode = data.read(ref)
        unseen = ~shows_goal(episode.observations)
        # Not the last frame: there the episode has ended.
        ends = [t for t in range(context, ref.total_steps + 1) if unseen[t - context : t].all()]
        if ends:
            t = int(random.choice(ends))
            frames = episode.observations[t - context : t]
            moments.append(Moment(ref.seed, episode.actions[: t - 1], frames))
    return moments


def simulated(moment: Moment, maze: dict[str, Any], turns: int) -> Frames:
    """(turns, H, W, 3) what the simulator shows."""
    env = gymnasium.make("SimMaze-v0", split="test", max_episode_steps=-1, **maze)
    env.reset(seed=moment.seed)
    for action in moment.actions:
        obs = env.step(int(action))[0]
    assert np.array_equal(obs, moment.frames[-1]), "an episode is a function of seed and actions"
    frames = [env.step(RIGHT)[0] for _ in range(turns)]
    env.close()
    return np.stack(frames)


def dreamt(moments: list[Moment], world: str, latents: int, turns: int) -> Frames:
    """(turns, N, H, W, 3) what the world shows; black where it has ended the episode."""
    env = gymnasium.make_vec(
        "TecoMaze-v0", num_envs=len(moments), world=world, backend="torch",
        sampling={"steps": latents}, max_episode_steps=-1, autoreset_mode="SameStep",
    )  # fmt: skip
    frames = np.stack([moment.frames for moment in moments])
    between = np.stack([moment.actions[1 - frames.shape[1] :] for moment in moments])
    env.reset(seed=0, options={"context": (frames, between)})
    shown, going = [], np.ones(len(moments), bool)
    for _ in range(turns):
        obs, _, terminated, _, _ = env.step(np.full(len(moments), RIGHT))
        going &= ~terminated
        shown.append(np.where(going[:, None, None, None], obs, 0).astype(np.uint8))
    env.close()
    return np.stack(shown)


def draw(true: Frames, imagined: Frames, path: Path) -> None:
    """A column per third turn; of six moments, above the simulator, below the world."""
    rows = []
    for moment in range(min(6, true.shape[1])):
        both = [np.concatenate(frames[::3, moment], 1) for frames in (true, imagined)]
        rows += [*both, np.full((GAP, both[0].shape[1], 3), 255, np.uint8)]
    write_picture(np.concatenate(rows[:-1]), path)


if __name__ == "__main__":
    tyro.cli(main)
