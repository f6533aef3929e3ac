"""`worldmodel train ...`, the two stages and what follows them, and `worldmodel check-parity`."""

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
    batch_size: int | None = None,
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
        batch_size: frames per step, over all processes, instead of the preset's.
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
    if batch_size is not None:
        training = replace(training, batch_size=batch_size)
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
    batch_size: int | None = None,
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
    clip: int | None = None,
    carry: int = 1,
    ends: float = 0.0,
    memory: Literal["preset", "none", "gated_delta", "mamba2", "ttt_linear", "ttt_mlp"] = "preset",
    window: int | None = None,
    sink: int | None = None,
    recall: int | None = None,
    rest_rate: float = 1.0,
    begin_with: str | None = None,
    sampling_steps: int | None = None,
    sampling_share: float = 1.0,
    sampling_still: float = 0.0,
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
        batch_size: clips per step, over all processes, instead of the preset's.
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
        clip: frames per clip, instead of the preset's.
        carry: clips in a row that continue one another, with what the model remembers.
        ends: share of the clips that show the last frames of an episode that terminated.
        memory: for what leaves the window, instead of the preset's.
        window: frames that a frame attends to, instead of the preset's.
        sink: first frames that never leave the window, instead of the preset's.
        recall: frames that are remembered by the place they were seen from, instead of the
            preset's; 0 for none. Data without poses give a model without.
        rest_rate: share of the learning rate for all but the temporal transformer's attention and
            memories; 0 leaves the rest as it is.
        begin_with: a world, by name or folder, whose tokenizer and weights to begin with. Its
            window and sink may be others; a memory that it lacks is new if `memory` names it.
        sampling_steps: passes of the prior by which the finished world draws a frame; 0 decodes
            without asking it, which small budgets may need. 4 if not given.
        sampling_share: of the frames for which the finished world asks it; the others are decoded
            without, which keeps more of what was seen.
        sampling_still: least share of a frame's codes that change in the finished world; a frame in
            which fewer would is the one before.
        name: the world's name; the preset's if not given.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from dataclasses import replace

    from worldmodel_env.imagination.world import World
    from worldmodel_env.models.sampling import Sampling
    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.compute import Compute
    from worldmodel_env.training.distributed import is_leader
    from worldmodel_env.training.finish import save_world
    from worldmodel_env.training.teco import train_teco as train

    passes = Sampling().steps if sampling_steps is None else sampling_steps
    sampling = Sampling(steps=passes, share=sampling_share, still=sampling_still)
    chosen = load_preset(preset)
    training = chosen.teco_training
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    if batch_size is not None:
        training = replace(training, batch_size=batch_size)
    if average is not None:
        training = replace(training, average_decay=average)
    if self_resampling is not None:
        loss = replace(training.loss, self_resampling=self_resampling)
        training = replace(training, loss=loss)
    clip = training.clip if clip is None else clip
    training = replace(training, clip=clip, carry=carry, ends=ends, rest_rate=rest_rate)
    temporal = chosen.teco.temporal
    temporal = replace(
        temporal,
        window=temporal.window if window is None else window,
        sink=temporal.sink if sink is None else sink,
        memory=temporal.memory if memory == "preset" else memory,
    )
    beginning = World.load(begin_with) if begin_with else None
    set_threads(threads)
    path = train(
        replace(
            chosen.teco,
            temporal=temporal,
            recall=chosen.teco.recall if recall is None else recall,
        ),
        training,
        vqgan=chosen.vqgan,
        data=data,
        out=out,
        budget=Budget(steps, minutes),
        seed=seed,
        compute=Compute(device, precision, accumulate, recompute, compile, distributed),
        begin_with=beginning,
        new_memory=memory != "preset",
        skip_corrupt=skip_corrupt,
    )
    if not is_leader():
        return
    print(f"world model: {path}")
    folder = save_world(
        out, data, name=name or preset, preset=preset, skip_corrupt=skip_corrupt,
        sampling=sampling, begun_with=beginning,
    )  # fmt: skip
    print(f"world: {folder}")


def train_selfforcing(
    *,
    begin_with: str,
    data: Path,
    out: Path,
    resampling: float = 0.0,
    self_rollout: int = 0,
    distribution_matching: float = 0.0,
    distil: int = 0,
    anchor: float = 0.5,
    agreement: float = 0.5,
    teacher: Literal["draft-and-revise", "served"] = "draft-and-revise",
    critic_steps: int = 1000,
    preset: str = "maze",
    clip: int | None = None,
    ends: float = 0.0,
    steps: int | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    threads: int | None = None,
    learning_rate: float | None = None,
    average: float | None = None,
    sampling_steps: int | None = None,
    sampling_share: float | None = None,
    name: str | None = None,
    skip_corrupt: bool = False,
) -> None:
    """Train a world on what it imagines, and save the new world; run it again to resume.

    Args:
        begin_with: the world, by name or folder.
        data: a recorded data set, of the simulator that the world imitates.
        out: the run's folder; the new world goes to OUT/world.
        resampling: share of the frames that it reads as it predicts them itself.
        self_rollout: the most frames that it imagines before it is told what comes next.
        distribution_matching: weight of making its windows as likely as recorded ones, for worlds
            where chance decides what comes next.
        distil: passes over a frame that its prior shall need.
        anchor: share of the loss that stays on recorded clips, beside `self_rollout`.
        agreement: how near every imagined frame must be to the recorded one, from 0 (any) to 1, or
            it is not told what comes next.
        teacher: what `distil` learns from: 24 passes, or as many as the world takes now.
        critic_steps: length of the training of the critic for `distribution_matching`.
        preset: whose recipe: length and number of clips, weights of the losses, an eighth of its
            learning rate. Sizes are those of the world.
        clip: frames per clip, instead of the preset's.
        ends: share of the clips that show the last frames of an episode that terminated.
        steps: length in optimizer steps; or
        minutes: length in minutes of training.
        seed: of clip order, noise and roll-outs.
        device: auto, cpu, cuda, ...
        precision: of matrix products; auto is bf16 where the processor multiplies it.
        threads: CPU threads; all cores if not given.
        learning_rate: the peak, instead of an eighth of the preset's.
        average: decay of the exponential mean of the weights that becomes the world; 0.99 if not
            given, 0 keeps none.
        sampling_steps: passes of the prior by which the finished world draws a frame; those it is
            trained with if not given.
        sampling_share: of the frames for which the finished world asks its prior; likewise.
        name: the new world's name; the old one's if not given.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.
    """
    from dataclasses import replace

    from worldmodel_env.imagination.world import World
    from worldmodel_env.presets import load_preset
    from worldmodel_env.training.budget import Budget
    from worldmodel_env.training.finish import save_world
    from worldmodel_env.training.self_forcing import STAGE, train_self_forcing
    from worldmodel_env.training.self_forcing_recipe import SelfForcing, afterwards

    recipe = SelfForcing(
        resampling, self_rollout, distribution_matching, distil, anchor, agreement, teacher,
        critic_steps=critic_steps,
    )  # fmt: skip
    training = afterwards(
        load_preset(preset).teco_training,
        clip=clip,
        learning_rate=learning_rate,
        average_decay=average,
    )
    training = replace(training, ends=ends)
    world = World.load(begin_with)
    set_threads(threads)
    path = train_self_forcing(
        world,
        recipe,
        training,
        data=data,
        out=out,
        budget=Budget(steps, minutes),
        seed=seed,
        device=device,
        precision=precision,
        skip_corrupt=skip_corrupt,
    )
    print(f"world model: {path}")
    sampling = replace(recipe.sampling(world), refill=world.config.sampling.refill)
    if sampling_steps is not None:
        sampling = replace(sampling, steps=sampling_steps)
    if sampling_share is not None:
        sampling = replace(sampling, share=sampling_share)
    folder = save_world(
        out,
        data,
        name=name or world.name,
        preset=preset,
        sampling=sampling,
        stage=STAGE,
        begun_with=world,
        skip_corrupt=skip_corrupt,
    )
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
