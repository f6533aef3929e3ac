"""The paper's ablations at small scale: `python -m benchmarks.ablations --help`.

Trains a world model of 1.5 M parameters for the same number of steps with one switch changed at a
time and replays held-out episodes in it (z drawn from the prior, 4 passes): the table in
docs/teco.md. Run it again to go on: what is already measured is kept.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from benchmarks.report import processor
from worldmodel_env.data.writer import replace_file
from worldmodel_env.evaluation.replay import evaluate_world
from worldmodel_env.imagination.world import World
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.temporal import TemporalConfig
from worldmodel_env.presets import load_preset
from worldmodel_env.training.budget import Budget
from worldmodel_env.training.encode import encode_run
from worldmodel_env.training.finish import save_world
from worldmodel_env.training.recipes import LossConfig, TecoTraining
from worldmodel_env.training.teco import train_teco

BASE = TecoConfig(
    code_grid=8, vq_dim=8, actions=ActionConfig("discrete", choices=(3,)),
    depths=(64, 96), encoder_blocks=1, decoder_blocks=1, embed_dim=64, n_codes=256,
    temporal_stride=2, temporal=TemporalConfig(128, 512, 4, 3, "window", window=24),
    prior=PriorConfig(96, 384, 4, 3, vocab_dim=64),
    z_dropout=0.5, local_skip=True, code_noise=0.3, codebook_logits=True, reencode=True,
)  # fmt: skip
TRAINING = TecoTraining(clip=32, batch_size=8, loss=LossConfig(drop_loss=0.75))
AUTOREGRESSIVE = replace(BASE.prior, kind="autoregressive")


def drop(rate: float) -> TecoTraining:
    """The recipe with another DropLoss."""
    return replace(TRAINING, loss=replace(TRAINING.loss, drop_loss=rate))


VARIANTS: dict[str, tuple[TecoConfig, TecoTraining]] = {
    "base": (BASE, TRAINING),
    "prior: autoregressive instead of MaskGit": (replace(BASE, prior=AUTOREGRESSIVE), TRAINING),
    "encoder: each frame by itself": (replace(BASE, conditional_encoder=False), TRAINING),
    "codebook: 64 instead of 256": (replace(BASE, n_codes=64), TRAINING),
    "codebook: 1024 instead of 256": (replace(BASE, n_codes=1024), TRAINING),
    "DropLoss: 0 instead of 0.75": (BASE, drop(0.0)),
    "DropLoss: 0.9 instead of 0.75": (BASE, drop(0.9)),
    "z never dropped": (replace(BASE, z_dropout=0.0), TRAINING),
    "no local skip": (replace(BASE, local_skip=False), TRAINING),
}
HORIZONS = (1, 5, 10)
COLUMNS = (
    *("CPU s a step", "CE, z seen", "CE, z drawn"),
    *(f"{metric} at {h}" for metric in ("PSNR", "LPIPS") for h in HORIZONS),
)


def measure(
    variant: str, data: Path, tokenizer: Path, out: Path, steps: int, seed: int
) -> dict[str, float]:
    """Train one variant and replay held-out episodes in it."""
    config, training = VARIANTS[variant]
    run = out / f"{list(VARIANTS).index(variant):02d}-{seed}"
    run.mkdir(parents=True, exist_ok=True)
    for shared in ("vqgan", "codes"):  # codes are made once, by the first variant
        (tokenizer / shared).mkdir(exist_ok=True)
        if not (run / shared).exists():
            (run / shared).symlink_to((tokenizer / shared).resolve())
    vqgan = load_preset("maze").vqgan
    encode_run(vqgan, data, run)  # not part of what a step costs
    began = time.process_time()
    train_teco(
        config, replace(training, evaluate_every=steps), vqgan=vqgan,
        data=data, out=run, budget=Budget(steps=steps), seed=seed,
    )  # fmt: skip
    seconds = time.process_time() - began
    lines = (run / "teco" / "metrics.jsonl").read_text().splitlines()
    last = [json.loads(line) for line in lines if "ce_posterior" in line][-1]
    folder = save_world(run, data, name="ablation", preset=variant, sampling=Sampling(4, 1.0))
    result = evaluate_world(
        World.load(folder), data, run / "report", context=24, horizon=max(HORIZONS), episodes=32
    )
    world = result.horizons.curves["world"]
    values = [seconds / steps, last["ce_posterior"], last["ce_prior"]]
    for metric in ("psnr", "lpips"):
        curve = world[metric].mean if metric in world else np.full(max(HORIZONS), np.nan)
        values += [float(curve[h - 1]) for h in HORIZONS]
    return dict(zip(COLUMNS, values, strict=True))


def main(
    data: Path,
    tokenizer: Path,
    work: Path,
    steps: int = 500,
    seeds: int = 1,
    out: Path = Path("benchmarks/results/ablations.json"),
) -> None:
    """Measure what is missing and report.

    Args:
        data: a recorded data set of SimMaze-v0.
        tokenizer: a run folder with a trained tokenizer of the preset maze.
        work: where the variants are trained.
        steps: of each training.
        seeds: trainings of each variant.
        out: where the JSON goes.
    """
    torch.set_num_threads(1)
    content: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    if content.get("steps", steps) != steps:
        raise SystemExit(f"{out} was measured with {content['steps']} steps; give another --out.")
    content |= {"machine": {"processor": processor(), "cores": 1}, "steps": steps}
    results = content.setdefault("results", {})
    for seed in range(seeds):
        for variant in VARIANTS:
            found = results.setdefault(variant, {})
            if str(seed) not in found:
                found[str(seed)] = measure(variant, data, tokenizer, work, steps, seed)
                out.parent.mkdir(parents=True, exist_ok=True)
                replace_file(out, (json.dumps(content, indent=1) + "\n").encode())
                print(f"{variant}, seed {seed}: {found[str(seed)]}", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
