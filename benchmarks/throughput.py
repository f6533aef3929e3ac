"""Training throughput of a preset's world model: `python -m benchmarks.throughput --preset dmlab`.

Trains on random codes and reports frames per second, model FLOP utilisation (operations of forward
and backward as PyTorch counts them, without any recomputation, over the rate of one large matrix
product on the same device and in the same format) and peak memory.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import tyro
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import report
from benchmarks.teco import ACTIONS, random_clips
from worldmodel_env.models.teco import Teco
from worldmodel_env.precision import autocast, resolve_device, resolve_dtype
from worldmodel_env.presets import load_preset
from worldmodel_env.training.teco_loss import teco_losses


def synchronise(device: torch.device) -> None:
    """Wait for the device, if it works on its own."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations per second of a size x size product, the best of some."""
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(10):
        synchronise(device)
        began = time.perf_counter()
        _ = a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best


def main(
    preset: str = "dmlab",
    frames: int | None = None,
    batch: int | None = None,
    steps: int = 20,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    compile: bool = False,
    out: Path = Path("benchmarks/results/throughput.json"),
) -> None:
    """Measure and report.

    Args:
        preset: named configuration.
        frames: per clip; the preset's if not given.
        batch: clips per step; likewise.
        steps: timed, after three to warm up.
        device: auto, cpu, cuda, ...
        precision: of matrix products.
        compile: the losses as one compiled graph.
        out: where the JSON goes.
    """
    chosen = load_preset(preset)
    place = resolve_device(device)
    dtype = resolve_dtype(precision, place)
    training = chosen.teco_training
    frames, batch = frames or training.clip, batch or training.batch_size
    torch.manual_seed(0)
    motion = ((0.0, 1.0, 0.0),) * ACTIONS.choices[0]  # costs as much whatever it is
    model = Teco(replace(chosen.teco, actions=ACTIONS, motion=motion))
    model.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.code_vectors.normal_()
    clips = random_clips(model.cfg, batch, frames).to(place)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=place.type == "cuda")
    generator = torch.Generator().manual_seed(0)
    losses = torch.compile(teco_losses) if compile else teco_losses

    def step() -> None:
        with autocast(place, dtype):
            found, _ = losses(model, clips, training.loss, generator)
        optimizer.zero_grad(set_to_none=True)
        found["loss"].backward()
        optimizer.step()

    with FlopCounterMode(display=False) as counter, autocast(place, dtype):
        teco_losses(model, clips, training.loss, generator)[0]["loss"].backward()
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    seconds = []
    for _ in range(3 + steps):
        synchronise(place)
        began = time.perf_counter()
        step()
        synchronise(place)
        seconds.append(time.perf_counter() - began)
    median = float(np.median(seconds[3:]))
    rate = matmul_rate(place, dtype, 8192 if place.type == "cuda" else 2048)
    operations = counter.get_total_flops()
    results = {
        "frames per clip": frames,
        "clips per step": batch,
        "step, s": median,
        "frames/s": batch * frames / median,
        "GFLOP a frame": operations / 1e9 / batch / frames,
        "TFLOP/s": operations / median / 1e12,
        "matrix product, TFLOP/s": rate / 1e12,
        "model FLOP utilisation": operations / median / rate,
    }
    if place.type == "cuda":
        results["peak memory, GiB"] = torch.cuda.max_memory_allocated(place) / 2**30
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else None
    report(results, out, cores=torch.get_num_threads(), device=name)


if __name__ == "__main__":
    tyro.cli(main)
