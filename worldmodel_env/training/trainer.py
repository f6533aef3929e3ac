"""The training loop of both stages.

A stage (`training/vqgan.py`, `training/teco.py`) says what a step is; here is everything else: when
to stop, what to log, when to look at held-out data, how to survive being killed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from worldmodel_env.errors import InputError
from worldmodel_env.training.budget import Budget, Clock, Pace
from worldmodel_env.training.checkpoint import Checkpoint, Part, save_checkpoint
from worldmodel_env.training.distributed import ALONE, Team
from worldmodel_env.training.interrupt import Interrupt
from worldmodel_env.training.log import NoLog, RunLog
from worldmodel_env.training.recipes import Rhythm


@dataclass(frozen=True)
class Findings:
    """What an evaluation on held-out data found.

    Attributes:
        metrics: by name, for the log.
        text: the gist of them, one line.
        pictures: PNG files by name, for TensorBoard.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    text: str = ""
    pictures: dict[str, Path] = field(default_factory=dict)


class Stage(Protocol):
    """What the loop must know of a stage.

    Attributes:
        name: of its folder in the run.
        config: the model's dataclass; a checkpoint of another one is refused.
        same: JSON values that must not change from resume to resume: seed, data.
        parts: modules, averages and optimizers to save; "model" is the one to use afterwards.
        frames: in a step's batch.
    """

    name: str
    config: Any
    same: Mapping[str, Any]
    parts: Mapping[str, Part]
    frames: int

    def step(self, step: int, progress: float) -> dict[str, float]:
        """Take optimizer step `step` (from 0), `progress` of the budget being used.

        It must be a function of the parts and of `step` and `progress` alone, so that a resumed
        training is the undisturbed one.

        Returns:
            Metrics, among them `loss`, the same in every process.
        """

    def evaluate(self, step: int) -> Findings:
        """Look at held-out data after `step` steps; only the leading process need find anything."""


def train(
    stage: Stage, folder: Path, budget: Budget, rhythm: Rhythm, team: Team = ALONE
) -> Checkpoint:
    """Train a stage until its budget is used, or resume the training in `folder`.

    Ctrl-C ends it after the step in progress, with a checkpoint.

    Args:
        stage: what to train.
        folder: gets checkpoint, metrics.jsonl, TensorBoard's events and strips.
        budget: when to stop.
        rhythm: how often to log, evaluate and save.
        team: the processes that train together; each calls this.

    Returns:
        The newest checkpoint.

    Raises:
        InputError: the checkpoint in `folder` is of another configuration or data set, or a metric
            is not finite.
    """
    step, seconds = 0, 0.0
    if checkpoint := Checkpoint.find(folder):
        checkpoint.restore(stage.parts, config=stage.config, same=stage.same)
        step, seconds = checkpoint.counters["step"], checkpoint.counters["seconds"]
    clock, pace, saved, interrupted = Clock(seconds), Pace(), seconds, False
    progress = budget.progress(step, seconds)
    open_log = RunLog if team.leads else NoLog
    with open_log(folder, stage.name, step=step, progress=progress) as log, Interrupt() as signals:
        while progress < 1 and not interrupted:
            with pace:
                metrics = stage.step(step, progress)
            step += 1
            _check_finite(metrics, step, folder)
            # Clocks and signals differ between processes, which must all do the same.
            seconds = team.largest(clock.seconds)
            progress = budget.progress(step, seconds)
            log.progress(progress, step=step, loss=metrics["loss"], **pace.speed(stage.frames))
            if progress >= 1 or step % rhythm.log_every == 0:
                log.write(step, **metrics)
            if progress >= 1 or step % rhythm.evaluate_every == 0:
                found = stage.evaluate(step)
                _check_finite(found.metrics, step, folder)
                log.write(step, **found.metrics, **pace.speed(stage.frames))
                log.show(step, found.pictures)
                left = budget.left(step, seconds, pace.seconds)
                log.say(f"step {step} ({progress:.0%}, {_minutes(left)} left): {found.text}")
            interrupted = team.largest(signals.asked) > 0
            if progress >= 1 or interrupted or seconds - saved > rhythm.checkpoint_seconds:
                counters = {"step": step, "seconds": seconds, "finished": progress >= 1}
                save_checkpoint(
                    folder, stage.parts, config=stage.config, counters={**stage.same, **counters},
                    team=team,
                )  # fmt: skip
                saved = seconds
        if interrupted and progress < 1:
            log.say(f"interrupted at step {step}: saved; the same command goes on from here.")
    return Checkpoint.open(folder)


def _check_finite(metrics: Mapping[str, float], step: int, folder: Path) -> None:
    """Stop before a broken training replaces a good checkpoint."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            good = Checkpoint.find(folder)
            kept = (
                f"{good.path} of step {good.counters['step']} is kept: go on from it"
                if good
                else "there is no checkpoint yet: start again"
            )
            raise InputError(
                f"{name} is {value} at step {step} and training stopped; {kept} with a lower "
                "--learning-rate."
            )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
