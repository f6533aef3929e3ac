"""`worldmodel train ...`, the two stages, and `worldmodel check-parity`."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from worldmodel_env.cli.options import set_threads

File = Annotated[Path, tyro.conf.Positional]


def train_vqgan(
    *,
    data: Path,
    out: Path,
    preset: str = "maze",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    recompute: bool = False,
    compile: bool = False,
    distributed: Literal["none", "ddp"] = "none",
    learning_rate: float | None = None,
    perceptual: Literal["preset", "none", "alex", "vgg"] = "preset",
    skip_corrupt: bool = False,
) -> None:
    """Train the tokenizer (stage 1 of 2); run it again to resume.

    Args:
        data: a recorded data set.
        out: the run's folder.
        preset: maze, nano, dmlab, minecraft, habitat or kinetics600.
        steps: length in optimizer steps; or
        minutes: length in minutes of training.
        seed: of weights and data order.
        device: auto, cpu, cuda, ...
        precision: of matrix products; auto is bf16 where the processor multiplies it.
        threads: CPU threads; all cores if not given. Fewer when other processes are busy.
        recompute: keep less for the backward pass, which computes it again.
        compile: fuse the model's blocks with torch.compile.
        distributed: ddp divides each batch among the processes started by torchrun.
        learning_rate: the peak, instead of the preset's.
        perceptual: LPIPS network in the loss, instead of the preset's.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from dataclasses import replace

    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.compute import Compute
    from worldmodel_env.training.distributed import is_leader
    from worldmodel_env.training.vqgan import train_vqgan as train

    chosen = load_preset(preset)
    training = chosen.vqgan_training
    if perceptual != "preset":
        training = replace(training, perceptual=perceptual)
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    set_threads(threads)
    path = train(
        chosen.vqgan,
        training,
        data=data,
        out=out,
        budget=Budget(steps, minutes),
        seed=seed,
        compute=Compute(device, precision, 1, recompute, compile, distributed),
        skip_corrupt=skip_corrupt,
    )
    if is_leader():
        print(f"tokenizer: {path}")


def train_teco(
    *,
    data: Path,
    out: Path,
    preset: str = "maze",
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    accumulate: int = 1,
    recompute: bool = False,
    compile: bool = False,
    distributed: Literal["none", "ddp", "fsdp"] = "none",
    learning_rate: float | None = None,
    average: float | None = None,
    self_resampling: float | None = None,
    begin_with: str | None = None,
    name: str | None = None,
    skip_corrupt: bool = False,
) -> None:
    """Train the world model (stage 2 of 2) and save the world; run it again to resume.

    Args:
        data: a recorded data set.
        out: the run's folder, which holds the trained tokenizer; the world goes to OUT/world.
        preset: maze, nano, dmlab, minecraft, habitat or kinetics600.
        steps: length in optimizer steps; or
        minutes: length in minutes of training.
        seed: of weights, clip order and training noise.
        device: auto, cpu, cuda, ...
        precision: of matrix products; auto is bf16 where the processor multiplies it.
        threads: CPU threads; all cores if not given.
        accumulate: parts into which a batch is divided to save memory; the result is the same.
        recompute: keep less for the backward pass, which computes it again.
        compile: fuse the model's blocks with torch.compile.
        distributed: how processes started by torchrun share the work: each with the whole model
            (ddp) or with a share of it (fsdp).
        learning_rate: the peak, instead of the preset's.
        average: decay of an exponential mean of the weights, which then becomes the world; such as
            0.999. 0 keeps none.
        self_resampling: share of the frames that the model reads as it predicts them itself, so
            that it learns to recover from its mistakes, instead of the preset's.
        begin_with: a world, by name or folder, whose tokenizer and weights to begin with.
        name: the world's name; the preset's if not given.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from dataclasses import replace

    from worldmodel_env.imagination.world import World
    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.compute import Compute
    from worldmodel_env.training.distributed import is_leader
    from worldmodel_env.training.finish import save_world
    from worldmodel_env.training.teco import train_teco as train

    chosen = load_preset(preset)
    training = chosen.teco_training
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    if average is not None:
        training = replace(training, average_decay=average)
    if self_resampling is not None:
        loss = replace(training.loss, self_resampling=self_resampling)
        training = replace(training, loss=loss)
    set_threads(threads)
    path = train(
        chosen.teco,
        training,
        vqgan=chosen.vqgan,
        data=data,
        out=out,
        budget=Budget(steps, minutes),
        seed=seed,
        compute=Compute(device, precision, accumulate, recompute, compile, distributed),
        begin_with=World.load(begin_with) if begin_with else None,
        skip_corrupt=skip_corrupt,
    )
    if not is_leader():
        return
    print(f"world model: {path}")
    folder = save_world(out, data, name=name or preset, preset=preset, skip_corrupt=skip_corrupt)
    print(f"world: {folder}")


def check_parity(
    file: File, *, temporal_heads: int | None = None, maskgit_heads: int | None = None
) -> None:
    """Compare TECO with the published model's numbers; exit status 1 if a stage differs.

    Args:
        file: the reference's parameters, inputs and outputs, an npz.
        temporal_heads: attention heads of its temporal transformer; the file's if not given.
        maskgit_heads: attention heads of its prior; likewise.
    """
    from worldmodel_env.training.parity import check_parity as check

    report = check(file, temporal_heads=temporal_heads, maskgit_heads=maskgit_heads)
    print(report)
    if not report.ok:
        raise SystemExit(1)
