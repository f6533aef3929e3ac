"""Train TECO and the baselines for equal time, evaluate all alike: `worldmodel benchmark`.

Killed and run again, it goes on where it was.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodel_env.config import to_json
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.benchmark import Examiner, Protocol
from worldmodel_env.evaluation.benchmark_table import draw_table, format_table
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.evaluation.predictor import BATCH, CopyLast
from worldmodel_env.evaluation.probes.returns import Tolerance
from worldmodel_env.imagination.world import World
from worldmodel_env.precision import resolve_device, resolve_dtype
from worldmodel_env.training.benchmark_plan import Metered, measured_minutes, plan_steps
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.contestants import Ground, fitted, make_predictor, make_stage
from worldmodel_env.training.encode import encode_sets
from worldmodel_env.training.events import require_tensorboard
from worldmodel_env.training.spaces import check_frames
from worldmodel_env.training.suites import BaselineEntry, TecoEntry, load_suite
from worldmodel_env.training.trainer import train

COPY_LAST = "copy_last"
RESULT, FIGURE = "benchmark.json", "benchmark.png"
TOLERANCE = 1 / 8
"""Two poses are one if they are at most this share of a cell apart."""


@dataclass(frozen=True)
class Wish:
    """What to benchmark.

    Attributes:
        data: a recorded data set with train, validation and test episodes.
        out: the benchmark's folder.
        minutes: of CPU (of an accelerator) that each training gets.
        seeds: trainings of each model.
        models: some of the suite's and `copy_last`; all if empty.
        scale: name of the suite.
        world: whose tokenizer all models use.
        revisit: a data set whose test episodes are searched for returns; None for `data`.
        cell: side of a cell of the map, in the pose's units.
        compute: device and precision.
    """

    data: Path
    out: Path
    minutes: float
    seeds: Sequence[int] = (0, 1, 2)
    models: Sequence[str] = ()
    scale: str = "small"
    world: str = "maze"
    revisit: Path | None = None
    cell: float = 1.0
    compute: Compute = Compute()  # noqa: RUF009  frozen


def run_benchmark(wish: Wish, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Train and evaluate what is missing, and sum up.

    Writes OUT/benchmark.json, OUT/benchmark.png, and a folder per model and seed.

    Args:
        wish: what to benchmark.
        say: told what is done next and how long all will take.

    Returns:
        The content of benchmark.json.

    Raises:
        InputError: unusable data or options, or `out` holds a benchmark of other ones.
        KeyboardInterrupt: interrupted; what was trained is saved.
    """
    require_figures()
    require_tensorboard()
    entries, protocol = _entries(wish)
    ground, about = prepare(wish)
    entries = {name: fitted(entry, ground) for name, entry in entries.items()}
    plan = plan_steps(wish.out, wish.minutes, entries, ground, about, say)
    examiner = make_examiner(wish, ground, protocol)
    content: dict[str, Any] = {
        "about": {**about, "scale": wish.scale, "minutes": wish.minutes},
        "protocol": examiner.about(),
        "plan": plan,
        "results": {},
        "ceiling": {},
    }

    def keep(name: str, seed: int, scores: dict[str, Any]) -> None:
        content["results"].setdefault(name, {})[str(seed)] = scores
        content["ceiling"] = scores["ceiling"]
        replace_file(wish.out / RESULT, (json.dumps(content, indent=1) + "\n").encode())
        draw_table(content, wish.out / FIGURE)

    if not wish.models or COPY_LAST in wish.models:
        say(f"{COPY_LAST}: nothing to train")
        folder = wish.out / COPY_LAST / "report"
        keep(COPY_LAST, 0, examiner.score(CopyLast, BATCH, folder, {"model": COPY_LAST}, 0))
    jobs = [(name, seed) for seed in wish.seeds for name in entries]
    forecast = Forecast(len(jobs), wish.minutes)
    for number, (name, seed) in enumerate(jobs):
        entry, steps = entries[name], plan[name]["steps"]
        say(f"[{number + 1}/{len(jobs)}] {name}, seed {seed}: {steps} steps; {forecast}")
        folder = wish.out / f"{name}-{seed}"
        with forecast:
            weights = _train(entry, ground, folder, steps, seed).weights()
            identity = {**about, "model": name, "steps": steps, "config": to_json(entry)}
            predictor = partial(make_predictor, name, entry, ground, weights)
            scores = examiner.score(predictor, BATCH, folder / "report", identity, seed)
        keep(name, seed, {**scores, "minutes": measured_minutes(folder, steps)})
    say(format_table(content))
    return content


class Forecast:
    """How long what is left will take: `with forecast: one job`."""

    def __init__(self, jobs: int, minutes: float) -> None:
        self._left, self._each, self._began = jobs, 60 * minutes, 0.0
        self._took: list[float] = []

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *error: object) -> None:
        self._left -= 1
        took = time.monotonic() - self._began
        if took > 0.5 * self._each:  # what was there already tells nothing
            self._took.append(took)

    def __str__(self) -> str:
        each = statistics.mean(self._took) if self._took else self._each
        guess = "" if self._took else " and the evaluations"
        return f"about {self._left * each / 3600:.1f} h left{guess}"


def _entries(wish: Wish) -> tuple[dict[str, TecoEntry | BaselineEntry], Protocol]:
    if wish.minutes <= 0 or not wish.seeds or len(set(wish.seeds)) < len(wish.seeds):
        raise InputError(
            f"minutes is {wish.minutes} and seeds {list(wish.seeds)}; give minutes above zero and "
            "different seeds, at least one."
        )
    suite = load_suite(wish.scale)
    known = [*suite.entries, COPY_LAST]
    for name in wish.models:
        if name not in known:
            raise InputError(f"model {name!r} is unknown; choose from {', '.join(known)}.")
    entries = {n: e for n, e in suite.entries.items() if not wish.models or n in wish.models}
    return entries, suite.protocol


def prepare(wish: Wish) -> tuple[Ground, dict[str, Any]]:
    """What all models share, encoded, and what is said of it in benchmark.json."""
    dataset = TrajectoryDataset.open(wish.data)
    world = World.load(wish.world)
    check_frames(world.config.vqgan, dataset)
    place = resolve_device(wish.compute.device)
    tokenizer = world.imagination().vqgan.to(place)
    dtype = resolve_dtype(wish.compute.precision, place)
    codes = encode_sets(tokenizer, dataset, wish.out / "codes", dtype)
    about = {
        "tokenizer": codes["train"].key["tokenizer"],
        "train_data": codes["train"].key["data"],
        "precision": str(dtype).removeprefix("torch."),
        "device": place.type if place.type == "cpu" else torch.cuda.get_device_name(place),
        "threads": torch.get_num_threads(),
    }
    return Ground(dataset, tokenizer, codes, wish.compute), about


def make_examiner(wish: Wish, ground: Ground, protocol: Protocol) -> Examiner:
    """Who scores models on the recordings of a wish."""

    def ceiling(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with torch.no_grad():
            codes = ground.tokenizer.encode(torch.from_numpy(frames).to(ground.place))
            return ground.tokenizer.decode(codes).cpu().numpy()

    revisit = ground.dataset if wish.revisit is None else TrajectoryDataset.open(wish.revisit)
    tolerance = Tolerance(wish.cell * TOLERANCE)
    return Examiner(protocol, ground.dataset, revisit, tolerance, ceiling, str(ground.place))


def _train(
    entry: TecoEntry | BaselineEntry, ground: Ground, folder: Path, steps: int, seed: int
) -> Checkpoint:
    """The finished training in `folder`, gone on with where it is not."""
    budget = Budget(steps=steps)
    found = Checkpoint.find(folder)
    if found is not None and found.counters["finished"] and found.counters["step"] == steps:
        return found
    stage = Metered(make_stage(entry, ground, budget, seed, folder), ground.place)
    checkpoint = train(stage, folder, budget, entry.training)
    if not checkpoint.counters["finished"]:
        raise KeyboardInterrupt
    return checkpoint
