"""Train the world model: `worldmodel train teco --preset maze --data DIR --out RUN`.

Stage two of two, after `training/vqgan.py`. Writes RUN/teco (checkpoint, metrics, strips) and the
code grids it trains on (RUN/codes); `training/finish.py` then makes RUN/world of both stages.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from worldmodel_env.data.clips import cut_clips, sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.figure import require_figures
from worldmodel_env.evaluation.strips import write_strips
from worldmodel_env.imagination.rollout import replay
from worldmodel_env.imagination.step import Imagination, Sampling
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.precision import Precision, autocast, resolve_device, resolve_dtype
from worldmodel_env.training import vqgan as tokenizer_stage
from worldmodel_env.training.budget import Budget, Clock, learning_rate
from worldmodel_env.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from worldmodel_env.training.encode import encode_split
from worldmodel_env.training.interrupt import Interrupt
from worldmodel_env.training.log import RunLog
from worldmodel_env.training.recipes import TecoTraining
from worldmodel_env.training.spaces import check_frames, with_actions
from worldmodel_env.training.teco_loss import diagnostics, teco_losses

STAGE = "teco"


def train_teco(
    config: TecoConfig,
    training: TecoTraining,
    *,
    vqgan: VqganConfig,
    data: Path,
    out: Path,
    budget: Budget,
    seed: int = 0,
    device: str = "auto",
    precision: Precision = "auto",
    skip_corrupt: bool = False,
) -> Path:
    """Train a world model on a trained tokenizer's codes, or resume the training in `out`.

    Args:
        config: the model.
        training: the recipe.
        vqgan: the tokenizer's configuration; its weights are read from `out`.
        data: a recorded data set with train and validation episodes.
        out: the run's folder.
        budget: when to stop; part of the schedule, so a resumed run should name the same.
        seed: of the weights, the order of the clips and the training noise.
        device: "auto", "cpu", "cuda", ...
        precision: of the matrix work; parameters stay float32.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The checkpoint's path.

    Raises:
        InputError: unusable data, no tokenizer, another run's checkpoint, or a loss that is not
            finite.
    """
    require_figures()
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    check_frames(vqgan, dataset)
    config = with_actions(config, dataset)
    place = resolve_device(device)
    dtype = resolve_dtype(precision, place)
    torch.manual_seed(seed)
    tokenizer = Vqgan(vqgan)
    load_checkpoint(out / tokenizer_stage.STAGE, tokenizer, None, config=vqgan)
    tokenizer.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    tokenizer.eval().requires_grad_(False)
    codes = {
        split: encode_split(tokenizer, dataset, split, out / "codes", dtype)
        for split in ("train", "validation")
    }
    model = Teco(config)
    model.code_vectors.copy_(tokenizer.codebook.vectors())
    model.to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=training.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=training.weight_decay,
    )

    folder = out / STAGE
    # Codes of another tokenizer would mean nothing to the model.
    same = {"seed": seed, "tokenizer": codes["train"].key["tokenizer"]}
    step, clock = 0, Clock()
    if (folder / CHECKPOINT).exists():
        counters = load_checkpoint(folder, model, optimizer, config=config, same=same)
        step, clock = counters["step"], Clock(counters["seconds"])
    progress = budget.progress(step, clock.seconds)
    checkpointed = clock.seconds

    def save() -> None:
        counters: dict[str, Any] = {"step": step, "seconds": clock.seconds, **same}
        counters |= {"data_hash": dataset.data_hash(), "finished": progress >= 1}
        save_checkpoint(folder, model, optimizer, config=config, counters=counters)

    def evaluate() -> None:
        log.say(_evaluate(model, tokenizer, codes["validation"], training.clip, folder, step, log))

    with RunLog(folder, STAGE, step=step, progress=progress) as log, Interrupt() as interrupt:
        while progress < 1 and not interrupt.asked:
            generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(training.learning_rate, progress)
            clips = sample_clips(codes["train"], training.clip, training.batch_size, seed, step)
            clips = clips.to(place)
            with autocast(place, dtype):
                losses, encoded = teco_losses(model, clips, training.loss, generator)
            optimizer.zero_grad(set_to_none=True)
            losses["loss"].backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
            metrics = {k: float(v.detach()) for k, v in losses.items()} | {"grad_norm": float(norm)}
            # What is not finite stops here, before it reaches weights or checkpoint.
            log.write(step + 1, **metrics)
            optimizer.step()
            codebook = model.codebook.codebook
            codebook.track(encoded.z_codes[encoded.valid])
            if step == 0:
                codebook.initialise(encoded.projected, generator)
            elif progress < 0.5 and step % training.restart_every == 0:
                codebook.restart_dead(encoded.projected, generator)
            step += 1
            progress = budget.progress(step, clock.seconds)
            log.progress(progress, step=step, loss=metrics["loss"])
            if progress >= 1 or step % training.evaluate_every == 0:
                evaluate()
            late = clock.seconds - checkpointed > training.checkpoint_seconds
            if progress >= 1 or interrupt.asked or late:
                save()
                checkpointed = clock.seconds
        if interrupt.asked:
            log.say(f"interrupted at step {step}: saved; the same command goes on from here.")
    return folder / CHECKPOINT


@torch.no_grad()
def _evaluate(
    model: Teco,
    tokenizer: Vqgan,
    store: CodeStore,
    length: int,
    folder: Path,
    step: int,
    log: RunLog,
) -> str:
    """Log the diagnostics on held-out clips and write a strip of imagined frames."""
    place = next(model.parameters()).device
    clips = sample_clips(store, length, 16, seed=0, step=0).to(place)
    result = diagnostics(model, clips, torch.Generator().manual_seed(0))
    log.write(step, **result)

    begin, end = store.starts[:-1], store.starts[1:]
    shown = min(3, len(begin))
    context = length // 4
    horizon = min(16, length - context)
    clips = cut_clips(store, begin[:shown], end[:shown], context + horizon).to(place)
    assert clips.actions is not None  # a store's clips have them
    imagination = Imagination(tokenizer, model, Sampling(steps=0))
    imagined = replay(imagination, clips.codes[:, :context], clips.actions, horizon, key=0)
    true = tokenizer.decode(clips.codes[:, context:].flatten(0, 1)).unflatten(0, (shown, horizon))
    rows = [
        {"true": t, "imagined": i}
        for t, i in zip(true.cpu().numpy(), imagined.cpu().numpy(), strict=True)
    ]
    (folder / "strips").mkdir(exist_ok=True)
    write_strips(folder / "strips" / f"{step:06d}.png", rows, range(1, horizon + 1))
    return (
        f"step {step}: next-code cross-entropy {result['ce_posterior']:.2f} with z seen, "
        f"{result['ce_prior']:.2f} from the prior, {result['ce_null']:.2f} without z, "
        f"{result['ce_shuffled_h']:.2f} with h shuffled"
    )
