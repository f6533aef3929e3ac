"""What TECO costs beside its published reference: `python -m benchmarks.teco`.

The reference (JAX, float32) was measured on two CPU cores of the same class with random 16 x 16
code grids and without the tokenizer, in CPU seconds, which do not count other programs:
a training step of `tiny` (T = 20, B = 2) 0.60, of `dmlab` (T = 20, B = 1) 4.26; a sampled frame
with 24 passes of the prior at T = 20 0.147 and 1.21. Here the same is measured with one thread, as
are the reference's algorithm (the whole clip anew for every frame) and the cache in its place.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import tyro
from torch import Tensor, nn

from benchmarks.report import report
from worldmodel_env.data.clips import Clips
from worldmodel_env.imagination.step import Imagination
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.mixers.state import is_ring
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.temporal import TemporalConfig
from worldmodel_env.presets import load_preset
from worldmodel_env.training.recipes import LossConfig
from worldmodel_env.training.teco_loss import teco_losses

ACTIONS = ActionConfig("discrete", choices=(6,))
CONFIGS = {
    "tiny": TecoConfig(
        actions=ACTIONS, depths=(64, 128), encoder_blocks=1, decoder_blocks=2,
        temporal=TemporalConfig(256, 1024, 4, 4), prior=PriorConfig(192, 768, 4, 4, vocab_dim=128),
    ),
    "dmlab": replace(load_preset("dmlab").teco, actions=ACTIONS),
}  # fmt: skip
PAPER = Sampling(8, order="random", revisions=2)
"""Draft and revise: 24 passes."""
REFERENCE = {
    ("tiny", "train"): 0.60,
    ("dmlab", "train"): 4.26,
    ("tiny", "sample"): 0.147,
    ("dmlab", "sample"): 1.21,
}


class NoTokenizer(nn.Module):
    """The reference was measured without one."""

    def decode(self, codes: Tensor) -> Tensor:
        """Codes instead of frames."""
        return codes


def build(name: str) -> Teco:
    """A model with random weights."""
    torch.manual_seed(0)
    model = Teco(CONFIGS[name])
    model.code_vectors.normal_()
    return model


def random_clips(config: TecoConfig, batch: int, frames: int) -> Clips:
    """Random codes and actions."""
    side = config.code_grid
    return Clips(
        codes=torch.randint(config.vq_codes, (batch, frames, side, side)),
        actions=torch.randint(6, (batch, frames - 1)),
        rewards=torch.zeros(batch, frames - 1),
        terminations=torch.zeros(batch, frames - 1, dtype=torch.bool),
        valid=torch.ones(batch, frames, dtype=torch.bool),
    )


def training_step(model: Teco, batch: int, frames: int, drop_loss: float) -> Callable[[], object]:
    """One optimizer step as the reference takes it: no clipping, AdamW on everything."""
    loss = LossConfig(drop_loss=drop_loss, outcome_weight=0.0)
    clips = random_clips(model.cfg, batch, frames)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=1e-5)
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        losses, _ = teco_losses(model, clips, loss, generator)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        optimizer.step()

    return step


def cached_frame(model: Teco, frames: int) -> Callable[[], object]:
    """Imagine the last frame of a clip of `frames`, the others in the cache."""
    imagination = Imagination(NoTokenizer(), model, PAPER)  # type: ignore[arg-type]
    side = model.cfg.code_grid
    state = imagination.begin(torch.randint(model.cfg.vq_codes, (1, side, side)))
    state["index"] = torch.tensor([frames - 1])
    for name in filter(is_ring, state):
        state[name].normal_()
    action, noise = torch.tensor([1]), torch.rand(1, *imagination.noise_shape)
    return lambda: imagination.step(state, action, noise)


def recomputed_frame(model: Teco, frames: int) -> Callable[[], object]:
    """The same with the reference's algorithm: all frames through the temporal transformer."""
    cfg = model.cfg
    sequence = torch.randn(1, frames, cfg.tokens, cfg.temporal.dim)
    noise = torch.rand(1, PAPER.passes, 2, cfg.grid**2)

    def frame() -> Tensor:
        h = model.latent_map(model.temporal(sequence)[:, -1])
        z = model.codebook.embed(model.prior.sample(h, noise, PAPER))
        return model.decode(h, z, None).argmax(-1)

    return frame


def temporal_parts(model: Teco, frames: int) -> dict[str, Callable[[], object]]:
    """The temporal transformer alone, one frame by cache and by recomputing."""
    cfg = model.cfg
    sequence = torch.randn(1, frames, cfg.tokens, cfg.temporal.dim)
    state = model.temporal.begin(1, sequence)
    for name in filter(is_ring, state):
        state[name].normal_()
    state["index"] += frames - 1
    return {
        "cached": lambda: model.temporal.step(sequence[:, -1], state),
        "recomputed": lambda: model.temporal(sequence),
    }


def cpu_seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each call, taken in turn so that all meet the same load."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.process_time()
            call()
            seconds[name].append(time.process_time() - began)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def training(repeats: int) -> dict[str, float]:
    """Training steps, and what DropLoss saves."""
    tiny, dmlab = build("tiny"), build("dmlab")
    steps = {
        "tiny": cpu_seconds({"": training_step(tiny, 2, 20, 0.9)}, repeats)[""],
        "dmlab": cpu_seconds({"": training_step(dmlab, 1, 20, 0.9)}, max(3, repeats // 3))[""],
    }
    results = {}
    for name, seconds in steps.items():
        results[f"{name}: training step, T=20, CPU s"] = seconds
        results[f"{name}: training step, share of the reference's"] = (
            seconds / REFERENCE[name, "train"]
        )
    calls = {str(rate): training_step(build("tiny"), 2, 100, rate) for rate in (0.9, 0.0)}
    dropped = cpu_seconds(calls, max(3, repeats // 3))
    results["tiny: training step, T=100, DropLoss 0.9, CPU s"] = dropped["0.9"]
    results["tiny: training step, T=100, no DropLoss, CPU s"] = dropped["0.0"]
    results["tiny: DropLoss 0.9 at T=100 saves, times"] = dropped["0.0"] / dropped["0.9"]
    return results


@torch.no_grad()
def sampling(repeats: int) -> dict[str, float]:
    """A sampled frame at T=20, beside the reference's; and at T=300, beside its algorithm."""
    results = {}
    for name in CONFIGS:
        model = build(name).eval()
        seconds = cpu_seconds({"": cached_frame(model, 20)}, repeats)[""]
        results[f"{name}: sampled frame, T=20, CPU s"] = seconds
        results[f"{name}: sampled frame, T=20, share of the reference's"] = (
            seconds / REFERENCE[name, "sample"]
        )
        whole = {"cached": cached_frame(model, 300), "recomputed": recomputed_frame(model, 300)}
        for part, calls in (("frame", whole), ("temporal part", temporal_parts(model, 300))):
            found = cpu_seconds(calls, max(3, repeats // 3))
            for how, value in found.items():
                results[f"{name}: {part}, T=300, {how}, CPU s"] = value
            results[f"{name}: {part}, T=300, cache saves, times"] = (
                found["recomputed"] / found["cached"]
            )
    return results


def main(repeats: int = 9, out: Path = Path("benchmarks/results/teco.json")) -> None:
    """Measure and report.

    Args:
        repeats: of every measurement; of the dear ones a third.
        out: where the JSON goes.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    sizes = {
        f"{n}: parameters, M": sum(p.numel() for p in build(n).parameters()) / 1e6 for n in CONFIGS
    }
    report(sizes | training(repeats) | sampling(repeats), out, cores=1)


if __name__ == "__main__":
    tyro.cli(main)
