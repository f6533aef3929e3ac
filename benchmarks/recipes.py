"""What the published configurations cost to train, computed: `python -m benchmarks.recipes`.

Counts the operations of a training step, forward and backward, as PyTorch does, at the preset's own
sizes, and of encoding a frame. Nothing is timed: hours follow from an accelerator's peak and the
share of it that is reached (`benchmarks/recipe_tables.py`), which `benchmarks.throughput` measures.
"""

from dataclasses import replace
from pathlib import Path

import torch
import torch.fx.experimental._config as fx_config
import tyro
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import report
from benchmarks.teco import ACTIONS, random_clips
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.models.discriminator import Discriminator
from worldmodel_env.models.teco import Teco
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import Preset, load_preset
from worldmodel_env.training.teco_loss import teco_losses
from worldmodel_env.training.vqgan_loss import discriminator_losses, vqgan_losses

PUBLISHED = ("dmlab", "minecraft", "habitat", "kinetics600")


def main(out: Path = Path("benchmarks/results/recipes.json")) -> None:
    """Count and report.

    Args:
        out: where the JSON goes.
    """
    found: dict[str, float] = {}
    for name in PUBLISHED:
        counted = world_model(load_preset(name)) | tokenizer(load_preset(name))
        found |= {f"{name}: {what}": value for what, value in counted.items()}
    report(found, out, cores=1)


def world_model(preset: Preset) -> dict[str, float]:
    """Of a clip, without its numbers: tensors that have shapes only."""
    training = preset.teco_training
    with torch.device("meta"):
        model = Teco(replace(preset.teco, actions=ACTIONS))
        clips = random_clips(model.cfg, 1, training.clip)
    # Which frames are valid is a matter of numbers; here all are.
    with fx_config.patch(meta_nonzero_assume_all_nonzero=True), counting() as counter:
        losses, _ = teco_losses(model, clips, training.loss, torch.Generator())
        losses["loss"].backward()
    return {
        "frames per clip": training.clip,
        "clips per step": training.batch_size,
        "world model, parameters, M": sum(p.numel() for p in model.parameters()) / 1e6,
        "world model, GFLOP a trained frame": counter.get_total_flops() / 1e9 / training.clip,
    }


def tokenizer(preset: Preset) -> dict[str, float]:
    """Of two frames, with all losses."""
    config, training = preset.vqgan, preset.vqgan_training
    model, judge = Vqgan(config), Discriminator(training.gan.discriminator)
    lpips = None if training.perceptual == "none" else Lpips(training.perceptual)
    x = torch.rand(2, 3, config.resolution, config.resolution) * 2 - 1
    with counting() as counter:
        losses, _, reconstruction = vqgan_losses(model, x, lpips, judge, training)
        losses |= discriminator_losses(judge, x, reconstruction)
        (losses["loss"] + losses["discriminator"]).backward()
    with torch.no_grad(), counting() as encoding:
        model.latents(x)
    return {
        "frames per step": training.batch_size,
        "tokenizer, parameters, M": sum(p.numel() for p in model.parameters()) / 1e6,
        "tokenizer, GFLOP a trained frame": counter.get_total_flops() / 1e9 / len(x),
        "tokenizer, GFLOP an encoded frame": encoding.get_total_flops() / 1e9 / len(x),
    }


def counting() -> FlopCounterMode:
    """Counts the operations of products and convolutions, 2 for each multiplication."""
    return FlopCounterMode(display=False)


if __name__ == "__main__":
    tyro.cli(main)
