"""The transfer experiment: the same training in the simulator and in imagination.

Three arms, each judged in the simulator on mazes that nothing has seen: `simulator` trains there,
`imagination` only in a world, and `refreshed` in a world that goes on learning from episodes which
the agent collects (Sutton 1991, Dyna). Everything lies under one folder; run it again to go on.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agents.baselines import RowPolicy, Rows, Uniform, Walking
from agents.collect import collect
from agents.envs import has_splits, parse_kwargs
from agents.evaluate import Scores, evaluate
from agents.guards import calibrate, return_gap
from agents.intervals import Estimate, mean, ratio_of
from agents.network import load_agent
from agents.policy import Actors, AgentPolicy
from agents.ppo import Args, train
from agents.report import table, write_report
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.schema import SEED_BASE
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World

Arm = Literal["simulator", "imagination", "refreshed"]
COLLECTED = 500_000
"""Training seed of the first episode that an agent collects; the recorder's stay below."""


@dataclass(frozen=True)
class Transfer:
    """What to compare. Of `ppo`, the experiment itself sets out, env, env-kwargs and seed."""

    out: Path
    """Folder of the experiment."""
    world: str = "maze"
    """The world to train in: a shipped one's name or a folder."""
    imagined: str = "TecoMaze-v0"
    """Id of the imagined environment."""
    simulator: str = "SimMaze-v0"
    """Id of the simulator that it imitates."""
    kwargs: tuple[str, ...] = ()
    """Arguments of the simulator, such as size=5; split is set by the experiment."""
    imagined_kwargs: tuple[str, ...] = ()
    """Arguments of the imagined environment besides world, such as backend=openvino."""
    arms: tuple[Arm, ...] = ("simulator", "imagination", "refreshed")
    """Which trainings."""
    seeds: int = 3
    """Trainings of each arm."""
    episodes: int = 200
    """Unseen mazes to judge by."""
    rounds: int = 4
    """Parts of the refreshed training, with a refresh of the world between each two."""
    data: Path | None = None
    """Data set that the world was trained on, for `refreshed`."""
    fresh: int = 100
    """Episodes collected at each refresh."""
    world_steps: int = 300
    """Training steps of the world at each refresh."""
    world_rate: float = 3e-4
    """Peak learning rate of it, under that of a first training."""
    world_resampling: float = 0.5
    """Share of the frames that it reads as it predicts them itself: of recorded ones alone it soon
    forgets how to go on from its own."""
    preset: str = "maze"
    """Recipe of that training."""
    world_threads: int = 1
    """CPU threads of it."""
    ppo: Args = field(default_factory=lambda: Args(Path()))
    """How each agent is trained."""


def transfer(args: Transfer, shortest: Callable[[], RowPolicy] | None = None) -> str:
    """Train and judge what is not there yet; returns the table, and writes report.json.

    Args:
        args: the experiment.
        shortest: makes the policy that knows the map, if the simulator has one.

    Raises:
        InputError: `refreshed` without data, or what training and evaluation refuse.
    """
    if "refreshed" in args.arms and args.data is None:
        raise InputError(
            "the arm refreshed goes on training the world, which needs the data it was trained on; "
            "give --data, or leave the arm out with --arms simulator imagination."
        )
    test = _simulator(args, "test")
    seeds = [SEED_BASE["test"] + i for i in range(args.episodes)]
    results: dict[str, list[Scores]] = {}
    policies: dict[str, Callable[[], RowPolicy]] = {"random": Uniform, "walker": Walking}
    if shortest is not None:
        policies["shortest path"] = shortest
    for name, make in policies.items():
        play = partial(evaluate, args.simulator, Rows.of(make), seeds, kwargs=test)
        results[name] = [_scores(args.out / f"{name.replace(' ', '-')}.json", play)]
    curves: dict[str, Any] = {}
    guards: dict[str, Any] = {}
    for arm in args.arms:
        results[arm], curves[arm] = [], []
        for seed in range(args.seeds):
            folder = args.out / arm / f"seed-{seed}"
            last, curve = _train(args, arm, seed, folder)
            curves[arm].append(curve)
            results[arm].append(_judge(args, last, folder / "test.json", seeds, test))
            if arm != "simulator" and seed == 0:
                guards[arm] = _guards(args, last, folder / "guards.json", test)
    shares = _shares(results)
    write_report(
        args.out / "report.json", results, shares={k: vars(v) for k, v in shares.items()},
        curves=curves, guards=guards, experiment=json.loads(json.dumps(_plain(args), default=str)),
    )  # fmt: skip
    lines = [f"share of the simulator's gain over random, {k}: {v}" for k, v in shares.items()]
    return "\n".join([table(results), *lines, f"report: {args.out / 'report.json'}"])


def _train(args: Transfer, arm: Arm, seed: int, folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """The last agent's folder, and how it came there."""
    validation = _words(_simulator(args, "validation"))
    base = replace(
        args.ppo, seed=seed, evaluate_env=args.simulator, evaluate_kwargs=validation
    )  # fmt: skip
    if arm == "simulator":
        ppo = replace(
            base, out=folder, env=args.simulator, env_kwargs=_words(_simulator(args, "train")),
            branch=0, surprise=0.0,
        )  # fmt: skip
        return train(ppo), _curve(folder, per_step=1)
    if arm == "imagination":
        ppo = replace(base, out=folder, env=args.imagined, env_kwargs=_imagined(args, args.world))
        begun = args.ppo.branch_data if args.ppo.branch else None
        return train(ppo), _curve(folder, frames=_frames(args.world, begun))
    return _refreshed(args, base, folder)


def _refreshed(args: Transfer, base: Args, folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """Train, collect, let the world learn, and go on."""
    assert args.data is not None
    data, world, agent = folder / "data", args.world, None
    _link(args.data, data)
    frames, spent, steps, curve = _frames(world, data), 0.0, 0, []
    for number in range(args.rounds):
        part = folder / f"round-{number}"
        ppo = replace(
            base, out=part / "agent", env=args.imagined, env_kwargs=_imagined(args, world),
            steps=max(1, base.steps // args.rounds), begin_with=agent,
            seed=base.seed * 1000 + number,
            branch_data=data,  # where the agent itself came to is there as well
        )  # fmt: skip
        agent = train(ppo)
        lines = _curve(agent, frames=frames, steps=steps, seconds=spent)
        curve += lines
        steps, spent = (curve[-1]["step"], curve[-1]["seconds"]) if lines else (steps, spent)
        if number + 1 < args.rounds:
            frames += collect(
                AgentPolicy(agent), f"agent of round {number}", args.simulator, data,
                episodes=args.fresh, first=COLLECTED + number * args.fresh,
                kwargs=_simulator(args, "train"),
            )  # fmt: skip
            world, seconds = _refresh(args, world, data, part, base.seed)
            spent += seconds
    assert agent is not None
    return agent, curve


def _refresh(args: Transfer, world: str, data: Path, out: Path, seed: int) -> tuple[str, float]:
    """Let a world learn on; the new one's folder, and the seconds of training."""
    import torch

    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.checkpoint import Checkpoint
    from worldmodel_env.training.finish import save_world
    from worldmodel_env.training.teco import STAGE, train_teco

    if not (out / "world" / "world.json").exists():
        old, first = World.load(world), load_preset(args.preset).teco_training
        recipe = replace(
            first, learning_rate=args.world_rate,
            loss=replace(first.loss, self_resampling=args.world_resampling),
        )  # fmt: skip
        codes = Path(world).parent / "codes"
        if Path(world).is_dir() and codes.is_dir():
            _link(codes, out / "codes")  # only the new episodes are encoded
        torch.set_num_threads(args.world_threads)
        train_teco(
            old.config.teco, recipe, vqgan=old.config.vqgan, data=data, out=out,
            budget=Budget(steps=args.world_steps), seed=seed, begin_with=old,
        )  # fmt: skip
        save_world(
            out, data, name=f"{old.name.split('+')[0]}+{out.name}", preset=args.preset,
            sampling=old.config.sampling, begun_with=old,
        )  # fmt: skip
        torch.set_num_threads(args.ppo.threads)
    return str(out / "world"), float(Checkpoint.open(out / STAGE).counters["seconds"])


def _judge(
    args: Transfer, agent: Path, path: Path, seeds: Sequence[int], kwargs: Mapping[str, Any]
) -> Scores:
    def play() -> Scores:
        loaded = load_agent(agent)
        films = {i: path.parent / f"test-{i}.mp4" for i in range(min(3, len(seeds)))}
        return evaluate(args.simulator, Actors.of(loaded), seeds, kwargs=kwargs, films=films)

    return _scores(path, play)


def _guards(args: Transfer, agent: Path, path: Path, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Calibration of the first world's heads on the agent's episodes, and the gap in return."""
    if not path.exists():
        loaded, world = load_agent(agent), World.load(args.world)
        seeds = [SEED_BASE["test"] + i for i in range(min(32, args.episodes))]
        found = calibrate(loaded, world, args.simulator, seeds, kwargs=kwargs)
        gap, dreamt, real = return_gap(
            loaded, args.imagined, args.simulator, episodes=len(seeds), seeds=seeds,
            imagined_kwargs=parse_kwargs(_imagined(args, args.world)), kwargs=kwargs,
        )  # fmt: skip
        content = {
            "calibration": found.summary(), "imagined minus true return": vars(gap),
            "imagined return": float(dreamt.returns.mean()),
            "true return": float(real.returns.mean()),
        }  # fmt: skip
        replace_file(path, json.dumps(content, indent=1).encode())
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _shares(results: Mapping[str, Sequence[Scores]]) -> dict[str, Estimate]:
    """(arm - random) / (simulator - random) of the success rates."""
    rates = {name: [scores.success for scores in runs] for name, runs in results.items()}
    best, chance = (np.mean(rates.get(name, 0)) for name in ("simulator", "random"))
    if best <= chance:  # nothing was learned that could be shared, or nobody tried
        return {}

    def share(groups: list[np.ndarray]) -> float:
        arm, best, chance = (mean(values) for values in groups)
        return (arm - chance) / (best - chance) if best != chance else np.nan

    return {
        arm: ratio_of([rates[arm], rates["simulator"], rates["random"]], share)
        for arm in ("imagination", "refreshed") if arm in rates
    }  # fmt: skip


def _scores(path: Path, play: Callable[[], Scores]) -> Scores:
    """Those in a file, or new ones that are put there."""
    if not path.exists():
        scores = play()
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(scores.to_json()).encode())
    return Scores.from_json(json.loads(path.read_text()))


def _curve(
    folder: Path, *, per_step: int = 0, frames: int = 0, steps: int = 0, seconds: float = 0.0
) -> list[dict[str, Any]]:
    """Evaluations during a training, with what had been used by then."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [
        {
            "step": steps + line["step"], "seconds": seconds + line["seconds"],
            "simulator_frames": frames + per_step * line["step"],
            "success": line["evaluation_success"], "return": line["evaluation_return"],
        }
        for line in lines if "evaluation_success" in line
    ]  # fmt: skip


def _frames(world: str, data: Path | None) -> int:
    """Simulator frames behind a world, and of a data set that is used in it, each set's once."""
    past = World.load(world).provenance
    trainings = [past, *past.get("earlier_trainings", {}).values()]
    sets = {t.get("data_sha256"): int(t.get("train_frames", 0)) for t in trainings}
    if data is not None:
        used = TrajectoryDataset.open(data)
        frames = sum(ref.total_steps + 1 for ref in used.episodes("train"))
        sets[used.data_hash("train")] = frames
    return sum(sets.values())


def _simulator(args: Transfer, split: str) -> dict[str, Any]:
    split_of = {"split": split} if has_splits(args.simulator) else {}
    return {**parse_kwargs(args.kwargs), **split_of}


def _imagined(args: Transfer, world: str) -> tuple[str, ...]:
    return (f"world={world}", *args.imagined_kwargs)


def _words(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{name}={value}" for name, value in kwargs.items())


def _link(source: Path, target: Path) -> None:
    """A folder that files can be added to or replaced in, sharing all others with the first one."""
    if not target.exists():
        made = target.with_name(target.name + ".partial")
        shutil.rmtree(made, ignore_errors=True)
        ignore = shutil.ignore_patterns("*.partial")  # all others are never written to
        shutil.copytree(source, made, ignore=ignore, copy_function=_link_or_copy)
        os.replace(made, target)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _plain(args: Transfer) -> dict[str, Any]:
    return {**vars(args), "ppo": vars(args.ppo)}
