"""Train a stage of the `nano` preset; as a script, a signal ends it at a given step."""

import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from worldmodel_env.presets import load_preset
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.log import RunLog
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
    **training: Any,
) -> Path:
    """Train `vqgan` or `teco`; `training` replaces fields of the recipe."""
    chosen = load_preset(preset)
    if stage == "vqgan":
        recipe = replace(chosen.vqgan_training, **training)
        budget = Budget(steps=steps)
        return train_vqgan(chosen.vqgan, recipe, data=data, out=out, budget=budget, seed=seed)
    return train_teco(
        chosen.teco,
        replace(chosen.teco_training, **training),
        vqgan=chosen.vqgan,
        data=data,
        out=out,
        budget=Budget(steps=steps),
        seed=seed,
    )


def prepare(stage: str, tokenizer_run: Path, out: Path) -> Path:
    """A run folder in which `stage` can be trained: `teco` needs a tokenizer."""
    if stage == "teco":
        shutil.copytree(tokenizer_run / "vqgan", out / "vqgan")
    return out


class SignalAt(RunLog):
    """A log that sends its own process a signal once it has written a step's loss."""

    step = 0
    number = signal.SIGINT

    def write(self, step: int, **metrics: float) -> None:
        super().write(step, **metrics)
        if step == self.step and "loss" in metrics:
            os.kill(os.getpid(), self.number)


if __name__ == "__main__":
    import worldmodel_env.training.teco as teco_stage
    import worldmodel_env.training.vqgan as vqgan_stage

    torch.set_num_threads(1)
    SignalAt.step, SignalAt.number = int(sys.argv[4]), signal.Signals[sys.argv[5]]
    teco_stage.RunLog = vqgan_stage.RunLog = SignalAt  # type: ignore[misc]
    train(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), checkpoint_seconds=0.0)
