"""How many steps of each model fit into equal time, and what they then really took.

Time is this process's CPU seconds, which other programs hardly change; on an accelerator, seconds.
The models are timed once, taking turns, and the numbers of steps are kept: a training is then a
number of steps, so that it can be killed, resumed and repeated.
"""

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from worldmodel_env.config import to_json
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.contestants import Ground, make_stage
from worldmodel_env.training.suites import BaselineEntry, TecoEntry
from worldmodel_env.training.trainer import Findings, Stage

PLAN = "plan.json"
ROUNDS, TIMED = 4, 2
"""Turns that each model takes when it is timed, and steps of a turn."""


def plan_steps(
    out: Path,
    minutes: float,
    entries: Mapping[str, TecoEntry | BaselineEntry],
    ground: Ground,
    about: Mapping[str, Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """How many steps of each model fit: read from `out`, where there, or timed now.

    Args:
        out: the benchmark's folder.
        minutes: of each training.
        entries: the models, fitted.
        ground: what they share.
        about: plain JSON values that must not change from call to call.
        say: told that models are timed.

    Returns:
        Model -> `steps`, `seconds_per_step`, `parameters` and its configuration as `entry`.

    Raises:
        InputError: `out` holds a plan of another budget, data set, tokenizer or configuration.
    """
    path = out / PLAN
    settings = {**about, "minutes": minutes}
    plan: dict[str, Any] = {"settings": settings, "models": {}}
    if path.exists():
        plan = json.loads(path.read_text())
        if plan["settings"] != settings:
            differ = [k for k in settings if plan["settings"].get(k) != settings[k]]
            raise InputError(
                f"{out} holds a benchmark with another {', '.join(differ)}; use the same or "
                "another --out."
            )
    models = plan["models"]
    configs = {name: to_json(entry) for name, entry in entries.items()}
    for name in (n for n in entries if n in models and models[n]["entry"] != configs[n]):
        raise InputError(
            f"{out} holds a benchmark of another {name}; use the same --scale, and version of "
            "worldmodel-env, or another --out."
        )
    missing = {name: entry for name, entry in entries.items() if name not in models}
    if missing:
        say(f"timing the steps of {', '.join(missing)}")
        for name, (seconds, parameters) in _time_steps(missing, ground).items():
            steps = max(1, round(60 * minutes / seconds))
            models[name] = {
                "parameters": parameters, "seconds_per_step": round(seconds, 6), "steps": steps,
                "entry": configs[name],
            }  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        replace_file(path, (json.dumps(plan, indent=1) + "\n").encode())
    return {name: models[name] for name in entries}


class Metered:
    """A stage whose metrics tell what a step costs."""

    def __init__(self, stage: Stage, place: torch.device) -> None:
        self._stage, self._now = stage, clock(place)
        self.name, self.config, self.same = stage.name, stage.config, stage.same
        self.parts, self.frames = stage.parts, stage.frames

    def step(self, step: int, progress: float) -> dict[str, float]:
        """See `trainer.Stage`."""
        began = self._now()
        metrics = self._stage.step(step, progress)
        return {**metrics, "seconds": self._now() - began}

    def evaluate(self, step: int) -> Findings:
        """See `trainer.Stage`."""
        return self._stage.evaluate(step)


def clock(place: torch.device) -> Callable[[], float]:
    """What the time of a step is read from; a step's metrics wait for an accelerator's work."""
    return time.process_time if place.type == "cpu" else time.perf_counter


def measured_minutes(folder: Path, steps: int) -> float:
    """What a training took, from the steps that were logged."""
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    seconds = [line["seconds"] for line in lines if "seconds" in line]
    return round(statistics.mean(seconds) * steps / 60, 3)


def _time_steps(
    entries: Mapping[str, TecoEntry | BaselineEntry], ground: Ground
) -> dict[str, tuple[float, int]]:
    """Median seconds of a step, and parameters; taking turns, all meet the same disturbances."""
    now = clock(ground.place)
    times: dict[str, list[float]] = {name: [] for name in entries}
    budget = Budget(steps=1_000_000)
    with TemporaryDirectory() as folder:
        stages = {n: make_stage(e, ground, budget, 0, Path(folder)) for n, e in entries.items()}
        for stage in stages.values():
            stage.step(0, 0.0)
        for turn in range(ROUNDS):
            for name, stage in stages.items():
                for i in range(TIMED):
                    began = now()
                    stage.step(1 + turn * TIMED + i, 0.1)
                    times[name].append(now() - began)
    return {
        name: (
            statistics.median(times[name]),
            sum(p.numel() for p in stage.model.parameters()),
        )
        for name, stage in stages.items()
    }
