"""Agents trained in imagination and judged in the simulator: `python -m benchmarks.agents`.

Everything from the recording to the report, in hours; run it again to go on. Parts:

- data: record episodes to begin imagined roll-outs with
- world: how well the world foresees the goal in them (`agents/foresight.py`)
- throughput: steps per second of a training, and what the network takes of it
- branches: how many frames C of recordings imagined roll-outs should begin with, and after how many
  steps H they should be cut, by what agents reach
- transfer: simulator, imagination and imagination with refreshes, three trainings of each
- moments: what agents and random actions reach from recorded moments, in the simulator and in the
  world
- planner: success by planning in the world, with and without the critic of a trained agent

The numbers go to OUT/agents.json, those of every single episode to OUT/agents-episodes.json.
"""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import tyro

from agents.baselines import Rows, Uniform
from agents.envs import Envs, parse_kwargs
from agents.evaluate import evaluate
from agents.foresight import foresight
from agents.intervals import estimate, mean
from agents.moments import from_moments
from agents.network import Agent, load_agent
from agents.planner import Planner
from agents.policy import Actors, Batch
from agents.ppo import Args, train
from agents.transfer import Arm, Transfer, transfer
from benchmarks.report import processor
from simulators import explorers
from simulators.recorder import record
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.schema import SEED_BASE
from worldmodel_env.data.writer import replace_file
from worldmodel_env.imagination.world import World

Part = Literal["data", "world", "throughput", "branches", "transfer", "moments", "planner"]
SIMULATOR, IMAGINED = "SimMaze-v0", "TecoMaze-v0"
FRESH = 900_000
"""First training seed of those to choose H by; what is recorded or collected lies below."""
POLICY = "tour"
"""Who records: one who sees the whole maze, so that a world which recalls it makes nothing up."""


@dataclass(frozen=True)
class Settings:
    """How much of everything."""

    out: Path = Path("runs/agents")
    """Folder of all that is made."""
    parts: tuple[Part, ...] = get_args(Part)
    """What to do; later ones need the earlier ones' results."""
    size: int = 5
    """Cells along a maze's edge: 5, 7 or 9."""
    recorded: int = 500
    """Training episodes to record, each of which sees the whole maze; an eighth for validation."""
    world: str = "maze"
    """World to learn in: a name or a folder."""
    steps: int = 131_072
    """Environment steps of each agent's training, wherever it learns."""
    arms: tuple[Arm, ...] = ("simulator", "imagination", "refreshed")
    """Kinds of trainings to compare."""
    seeds: int = 3
    """Trainings of each kind."""
    episodes: int = 200
    """Unseen mazes to judge by."""
    tried: tuple[tuple[int, int], ...] = ((0, 0), (8, 32), (8, 96), (32, 32), (32, 96))
    """C and H to try; H of 0 stands for whole episodes from first frames."""
    entropy: float = 0.01
    """Weight of the agents' entropy bonus."""
    context: int = 8
    """C of the transfer: recorded frames that imagined roll-outs begin with."""
    branch: int = 96
    """H of the transfer: their imagined steps."""
    hindsight: int = 500
    """Moments of which the world recalls the whole recording; 0: it knows the C frames only."""
    rounds: int = 3
    """Parts of a refreshed training."""
    collected: int = 300
    """Episodes that the agent adds at each refresh, to those recorded."""
    refresh_steps: int = 100
    """Training steps of the world at each refresh, between two rounds."""
    moments: int = 256
    """Recorded moments to go on from."""
    planned: int = 10
    """Unseen mazes to judge planning by, which takes seconds a step."""
    horizon: int = 8
    """Steps that a plan looks ahead."""
    plans: int = 32
    """Plans in a batch, of which there are two a step."""
    threads: int = 2
    """CPU threads of everything."""
    backend: str = "auto"
    """What imagines; with openvino each world is exported once, and imagined faster."""
    imagined: tuple[str, ...] = ()
    """Further arguments of imagined environments, such as sampling={"steps":0}, which draws no
    latents and is faster; agents then learn one fixed answer of the world to each action."""


def main(settings: Settings) -> None:
    """Do the parts that were asked for, in their order."""
    torch.set_num_threads(settings.threads)
    found: dict[str, Any] = {"machine": {"processor": processor(), "threads": settings.threads}}
    file = settings.out / "agents.json"
    if file.exists():
        found = json.loads(file.read_text())
    parts = {
        "data": lambda: make_data(settings),
        "world": lambda: foreseen(settings),
        "throughput": lambda: throughput(settings),
        "branches": lambda: branches(settings),
        "transfer": lambda: compare(settings),
        "moments": lambda: reached(settings),
        "planner": lambda: plan(settings),
    }
    for part in settings.parts:
        print(f"\n== {part}", flush=True)
        found[part] = parts[part]()
        settings.out.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps(found, indent=1).encode())
        print(json.dumps(found[part], indent=1), flush=True)


def make_data(settings: Settings) -> str:
    """Record mazes with a goal."""
    summary = record(
        SIMULATOR, settings.out / "data", episodes=settings.recorded,
        validation=settings.recorded // 8, test=20, policy=POLICY, workers=settings.threads,
        env_kwargs={"size": settings.size, "task": "goal"},
    )  # fmt: skip
    return str(summary)


def foreseen(settings: Settings) -> dict[str, Any]:
    """How well the world foresees the goal."""
    data = TrajectoryDataset.open(settings.out / "data")
    world = World.load(settings.world)
    return {settings.world: vars(foresight(world, data, threads=settings.threads))}


def words(settings: Settings) -> tuple[str, ...]:
    """Arguments of imagined environments besides the world."""
    return (f"threads={settings.threads}", f"backend={settings.backend}", *settings.imagined)


def ppo(settings: Settings, out: Path, **changes: Any) -> Args:
    """How agents are trained in imagination, unless told otherwise.

    Twice the updates of `Args` from longer rollouts: of agents trained with those for 100,000 steps
    in the simulator none solved more than 60 % of the test mazes of size 5.
    """
    return replace(
        Args(
            out,
            env=IMAGINED,
            env_kwargs=(f"world={settings.world}", *words(settings)),
            num_envs=16,
            rollout=128,
            steps=settings.steps,
            entropy=settings.entropy,
            threads=settings.threads,
        ),
        **changes,
    )


def throughput(settings: Settings) -> dict[str, float]:
    """Environment steps per second with 64 worlds: imagining alone, and training."""
    args = ppo(settings, settings.out, num_envs=64, steps=64 * 64 * 3)
    envs = Envs(IMAGINED, 64, parse_kwargs(args.env_kwargs))
    envs.reset(0)
    random, actions = np.random.default_rng(0), 3
    envs.step(random.integers(actions, size=64))
    began = time.monotonic()
    for _ in range(64):
        envs.step(random.integers(actions, size=64))
    imagining = 64 * 64 / (time.monotonic() - began)
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        train(replace(args, out=Path(folder)))
        training = args.steps / (time.monotonic() - began)
    return {
        "imagining, steps/s": imagining,
        "training, steps/s": training,
        "share of a training's time that is not imagining": 1 - training / imagining,
    }


def branches(settings: Settings) -> list[dict[str, Any]]:
    """Success by C and H.

    On mazes of the training pool that were not recorded: of size 5 validation has one layout only.
    """
    found, seeds = [], [FRESH + i for i in range(settings.episodes)]
    for context, horizon in settings.tried:
        out = settings.out / "branches" / f"c{context}-h{horizon}"
        train(ppo(settings, out, **branching(settings, context, horizon)))
        scores = evaluate(
            SIMULATOR, Actors.of(load_agent(out)), seeds,
            kwargs={"size": settings.size, "split": "train"},
        )  # fmt: skip
        success = vars(estimate([scores.success], mean))
        found.append({"context": context, "horizon": horizon, "success": success})
    return found


def branching(settings: Settings, context: int, horizon: int) -> dict[str, Any]:
    """Arguments of a training in branches; none for whole episodes."""
    if not horizon:
        return {}
    data = settings.out / "data"
    return {
        "branch": horizon, "branch_context": context, "branch_data": data,
        "branch_hindsight": settings.hindsight,
    }  # fmt: skip


def compare(settings: Settings) -> dict[str, Any]:
    """The three arms: success, return and steps by policy, shares of the simulator's, guards."""
    text = transfer(
        Transfer(
            settings.out / "transfer", world=settings.world,
            kwargs=(f"size={settings.size}",), imagined_kwargs=words(settings),
            seeds=settings.seeds, episodes=settings.episodes, data=settings.out / "data",
            arms=settings.arms, rounds=settings.rounds, fresh=settings.collected,
            world_steps=settings.refresh_steps,
            world_threads=settings.threads,
            ppo=ppo(settings, Path(), **branching(settings, settings.context, settings.branch)),
        ),
        lambda: explorers.make("goal"),
    )  # fmt: skip
    print(text)
    report = json.loads((settings.out / "transfer" / "report.json").read_text())
    episodes = json.dumps(report["episodes"], separators=(",", ":"))
    replace_file(settings.out / "agents-episodes.json", episodes.encode())
    told = (
        "size", "recorded", "world", "steps", "seeds", "episodes", "context", "branch",
        "hindsight", "rounds", "collected", "refresh_steps", "imagined",
    )  # fmt: skip
    return {
        "settings": {name: getattr(settings, name) for name in told},
        **{key: report[key] for key in ("summary", "shares", "guards", "curves")},
    }


def reached(settings: Settings) -> dict[str, Any]:
    """By policy and place: success, with its interval, and steps to the goal, from moments on."""
    data, found = TrajectoryDataset.open(settings.out / "data"), {}
    policies: dict[str, Callable[[int], Batch]] = {"random": Rows.of(Uniform)}
    for arm in ("simulator", "imagination"):
        folder = settings.out / "transfer" / arm / "seed-0"
        if folder.exists():
            policies[f"learned in {arm}"] = Actors.of(load_agent(folder))
    kwargs = parse_kwargs(ppo(settings, settings.out).env_kwargs)
    for name, policy in policies.items():
        both = from_moments(
            policy, data, IMAGINED, kwargs, moments=settings.moments,
            context=settings.context, horizon=settings.branch,
        )  # fmt: skip
        found[name] = {
            place: {
                "success": vars(estimate([scores.success], mean)),
                "steps": float(scores.steps[scores.success].mean()) if scores.success.any() else 0,
            }
            for place, scores in zip(("simulator", "world"), both, strict=True)
        }
    told = {name: getattr(settings, name) for name in ("world", "moments", "context", "branch")}
    digest = World.load(settings.world).digest
    return {"settings": {**told, "world_digest": digest}, "reached": found}


def plan(settings: Settings) -> dict[str, Any]:
    """Planning alone, and with the critic of the first agent trained in imagination."""
    found: dict[str, Any] = {}
    trained = settings.out / "transfer" / "imagination" / "seed-0"
    critics: dict[str, Agent | None] = {"no critic": None}
    if trained.exists():
        critics["critic"] = load_agent(trained)
    world = parse_kwargs(ppo(settings, settings.out).env_kwargs)
    seeds = [SEED_BASE["test"] + i for i in range(settings.planned)]
    for name, critic in critics.items():
        make = Rows.of(
            partial(
                Planner, IMAGINED, world, agent=critic,
                horizon=settings.horizon, branches=settings.plans,
            )
        )  # fmt: skip
        scores = evaluate(
            SIMULATOR, make, seeds, kwargs={"size": settings.size, "split": "test"}, num_envs=1
        )
        found[name] = {
            "success": vars(estimate([scores.success], mean)),
            "episodes": settings.planned,
            "seconds per step": scores.seconds / float(scores.steps.sum()),
        }
    return found


if __name__ == "__main__":
    main(tyro.cli(Settings))
