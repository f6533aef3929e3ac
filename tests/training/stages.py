"""Train a stage of the `nano` preset, here or in processes of their own."""

import json
import multiprocessing
import os
import shutil
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from worldmodel_env.imagination.world import World
from worldmodel_env.presets import load_preset
from worldmodel_env.training import trainer
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.log import RunLog
from worldmodel_env.training.self_forcing import train_self_forcing
from worldmodel_env.training.self_forcing_recipe import SelfForcing, afterwards
from worldmodel_env.training.teco import train_teco
from worldmodel_env.training.vqgan import train_vqgan

STEPS = 6


def train(
    stage: str,
    data: Path,
    out: Path,
    *,
    steps: int = STEPS,
    seed: int = 0,
    preset: str = "nano",
    compute: Compute = Compute(precision="fp32"),  # noqa: B008  frozen
    begin_with: World | None = None,
    recall: int = 0,
    **training: Any,
) -> Path:
    """Train `vqgan` or `teco`; `training` replaces fields of the recipe, `recall` one of TECO's."""
    chosen = load_preset(preset)
    budget = Budget(steps=steps)
    if stage == "vqgan":
        recipe = replace(chosen.vqgan_training, **training)
        return train_vqgan(
            chosen.vqgan, recipe, data=data, out=out, budget=budget, seed=seed, compute=compute
        )
    return train_teco(
        replace(chosen.teco, recall=recall),
        replace(chosen.teco_training, **training),
        vqgan=chosen.vqgan,
        data=data,
        out=out,
        budget=budget,
        seed=seed,
        compute=compute,
        begin_with=begin_with,
    )


def force(
    data: Path, out: Path, world: Path, recipe: SelfForcing, *, steps: int = STEPS, **training: Any
) -> Path:
    """Train a world on what it imagines; `training` replaces fields of the recipe for clips."""
    return train_self_forcing(
        World.load(world),
        recipe,
        replace(afterwards(load_preset("nano").teco_training), **training),
        data=data,
        out=out,
        budget=Budget(steps=steps),
        precision="fp32",
    )


def prepare(stage: str, tokenizer_run: Path, out: Path) -> Path:
    """A run folder in which `stage` can be trained: `teco` needs a tokenizer."""
    if stage == "teco":
        shutil.copytree(tokenizer_run / "vqgan", out / "vqgan", dirs_exist_ok=True)
    return out


def losses(folder: Path) -> list[dict[str, float]]:
    """The lines of the metrics file that steps wrote."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "loss" in line]


class SignalAt(RunLog):
    """A log that sends its own process a signal once it has written a step's loss."""

    step = 0
    number = signal.SIGINT

    def write(self, step: int, **metrics: float) -> None:
        super().write(step, **metrics)
        if step == self.step and "loss" in metrics:
            os.kill(os.getpid(), self.number)


def in_processes(stage: str, data: Path, out: Path, *, size: int = 1, **options: Any) -> list[int]:
    """Train in `size` processes of their own; returns their exit statuses.

    `options` are those of `train`; and `signal_at`, a step and the signal that is sent there.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    team = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    processes = []
    for rank in range(size):
        environment = {**team, "RANK": str(rank), "LOCAL_RANK": str(rank)} if size > 1 else {}
        arguments = (environment, stage, data, out, options)
        processes.append(_FORKS.Process(target=_train_here, args=arguments))
        processes[-1].start()
    for process in processes:
        process.join(timeout=120)
        if process.is_alive():  # waiting for one that has ended
            process.kill()
            process.join()
    return [process.exitcode for process in processes]


def killed_after(step: int, delay: float, stage: str, data: Path, out: Path, **options: Any) -> int:
    """Train in a process that is killed `delay` seconds after `step` was logged; its status."""
    process = _FORKS.Process(target=_train_here, args=({}, stage, data, out, options))
    process.start()
    metrics = out / stage / "metrics.jsonl"
    while process.is_alive() and f'{{"step": {step},' not in _text(metrics):
        process.join(0.005)
    process.join(delay)
    process.kill()
    process.join()
    return process.exitcode


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _train_here(
    environment: dict[str, str], stage: str, data: Path, out: Path, options: dict[str, Any]
) -> None:
    torch.set_num_threads(1)
    os.environ.update(environment)
    if at := options.pop("signal_at", None):
        SignalAt.step, SignalAt.number = at
        trainer.RunLog = SignalAt  # type: ignore[misc]
    if stage == "selfforcing":
        force(data, out, **options)
    else:
        train(stage, data, out, **options)


# Processes that are killed must be real ones, but importing torch for each would take seconds.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["worldmodel_env.training.teco", "tensorboard", "matplotlib.figure"])
