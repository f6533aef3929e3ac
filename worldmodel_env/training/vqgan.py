"""Train the tokenizer: `worldmodel train vqgan --preset maze --data DIR --out RUN`.

Stage one of two. Writes RUN/vqgan: checkpoint.safetensors, metrics.jsonl, strips/.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.frames import FrameSampler
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.metrics.psnr import psnr
from worldmodel_env.evaluation.strips import write_strips
from worldmodel_env.models.blocks import float_to_frames, frames_to_float
from worldmodel_env.models.codebook import perplexity
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.precision import Precision, autocast, resolve_device, resolve_dtype
from worldmodel_env.training.budget import Budget, Clock, learning_rate
from worldmodel_env.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from worldmodel_env.training.interrupt import Interrupt
from worldmodel_env.training.log import RunLog
from worldmodel_env.training.recipes import VqganTraining
from worldmodel_env.training.spaces import check_frames

STAGE = "vqgan"


def train_vqgan(
    config: VqganConfig,
    training: VqganTraining,
    *,
    data: Path,
    out: Path,
    budget: Budget,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    skip_corrupt: bool = False,
) -> Path:
    """Train a tokenizer, or resume the training in `out`.

    Args:
        config: the model.
        training: the recipe.
        data: a recorded data set with train and validation episodes.
        out: the run's folder.
        budget: when to stop; part of the schedule, so a resumed run should name the same.
        seed: of the weights and the order of the data; the same seed and step give the same batch.
        device: "auto", "cpu", "cuda", ...
        precision: of the matrix work; parameters stay float32.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: unusable data, missing perceptual weights, another run's checkpoint, or a loss
            that is not finite.
    """
    require_figures()
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    check_frames(config, dataset)
    place = resolve_device(device)
    dtype = resolve_dtype(precision, place)
    torch.manual_seed(seed)
    model = Vqgan(config).to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=training.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=training.weight_decay,
    )
    lpips = None if training.perceptual == "none" else Lpips(training.perceptual).to(place)
    frames = FrameSampler(dataset, "train", training.batch_size, seed)
    held_out = FrameSampler(dataset, "validation", 128, seed).batch(0)

    folder = out / STAGE
    step, clock = 0, Clock()
    if (folder / CHECKPOINT).exists():
        counters = load_checkpoint(folder, model, optimizer, config=config, same={"seed": seed})
        step, clock = counters["step"], Clock(counters["seconds"])
    progress = budget.progress(step, clock.seconds)
    checkpointed = clock.seconds

    def save() -> None:
        counters: dict[str, Any] = {"step": step, "seconds": clock.seconds, "seed": seed}
        counters |= {"data_hash": dataset.data_hash(), "finished": progress >= 1}
        save_checkpoint(folder, model, optimizer, config=config, counters=counters)

    with RunLog(folder, STAGE, step=step, progress=progress) as log, Interrupt() as interrupt:
        while progress < 1 and not interrupt.asked:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(training.learning_rate, progress)
            x = frames_to_float(torch.from_numpy(frames.batch(step))).to(
                place, memory_format=torch.channels_last
            )
            with autocast(place, dtype):
                if step % training.restart_every == 0:
                    latents = model.latents(x).detach().flatten(0, 2)
                    if step == 0:
                        model.codebook.initialise(latents, generator)
                    else:
                        model.codebook.restart_dead(latents, generator)
                losses, codes = vqgan_losses(model, x, lpips, training)
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
            metrics = {k: float(v.detach()) for k, v in losses.items()}
            metrics |= {"grad_norm": float(norm)}
            metrics |= {"perplexity": float(perplexity(codes, config.n_codes))}
            # What is not finite stops here, before it reaches weights or checkpoint.
            log.write(step + 1, **metrics)
            optimizer.step()
            model.codebook.track(codes)
            step += 1
            progress = budget.progress(step, clock.seconds)
            log.progress(progress, step=step, loss=metrics["loss"])
            if progress >= 1 or step % training.evaluate_every == 0:
                log.say(_evaluate(model, held_out, folder, step, log, dtype))
            late = clock.seconds - checkpointed > training.checkpoint_seconds
            if progress >= 1 or interrupt.asked or late:
                save()
                checkpointed = clock.seconds
        if interrupt.asked:
            log.say(f"interrupted at step {step}: saved; the same command goes on from here.")
    return folder / CHECKPOINT


def vqgan_losses(
    model: Vqgan, x: Tensor, lpips: Lpips | None, training: VqganTraining
) -> tuple[dict[str, Tensor], Tensor]:
    """Losses of one batch.

    Args:
        model: the tokenizer.
        x: frames (B, 3, R, R) in [-1, 1].
        lpips: the perceptual network, or None.
        training: the weights of the terms.

    Returns:
        Scalars by name, their weighted sum as `loss`; and the codes (B, grid, grid).
    """
    reconstruction, quantised = model(x)
    reconstruction = reconstruction.float()
    losses = {
        "l1": (reconstruction - x).abs().mean(),
        "l2": (reconstruction - x).square().mean(),
        "commitment": quantised.commitment.mean(),
        "codebook": quantised.codebook.mean(),
    }
    total = losses["l1"] + losses["l2"] + losses["codebook"]
    total = total + training.commitment_weight * losses["commitment"]
    if lpips is not None:
        losses["lpips"] = lpips(reconstruction, x).mean()
        total = total + training.perceptual_weight * losses["lpips"]
    return {"loss": total, **losses}, quantised.codes


@torch.no_grad()
def _evaluate(
    model: Vqgan,
    frames: NDArray[np.uint8],
    folder: Path,
    step: int,
    log: RunLog,
    dtype: torch.dtype,
) -> str:
    place = next(model.parameters()).device
    with autocast(place, dtype):
        reconstruction, quantised = model(frames_to_float(torch.from_numpy(frames)).to(place))
    imitation = float_to_frames(reconstruction).cpu().numpy()
    quality = float(np.mean(psnr(frames, imitation)))
    used = float(perplexity(quantised.codes, model.cfg.n_codes))
    log.write(step, held_out_psnr=quality, held_out_perplexity=used)
    strip = folder / "strips" / f"{step:06d}.png"
    strip.parent.mkdir(exist_ok=True)
    shown = {"true": frames[::8], "tokenizer": imitation[::8]}
    write_strips(strip, [shown], range(len(shown["true"])))
    return f"step {step}: held-out PSNR {quality:.2f} dB, {used:.0f} of {model.cfg.n_codes} codes"
