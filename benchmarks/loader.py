"""Whether reading keeps up with training: `python -m benchmarks.loader`.

Opens a set of 2,000 episodes, reads random clips from it (once from episodes never touched before,
once with their small columns in memory), and trains both stages of a preset for a few steps: how
long a batch takes to read, how long a step waits for it, how long the step takes. Prints a table
and writes JSON.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import torch
import tyro

from benchmarks.report import report
from simulators.recorder import record
from worldmodel_env.data import schema
from worldmodel_env.data.clips import sample_clips
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.frames import FrameSampler
from worldmodel_env.data.writer import hdf5_file
from worldmodel_env.models.teco import Teco
from worldmodel_env.precision import autocast, resolve_device, resolve_dtype
from worldmodel_env.presets import Preset, load_preset
from worldmodel_env.training.compute import Compute
from worldmodel_env.training.distributed import join
from worldmodel_env.training.spaces import with_actions
from worldmodel_env.training.teco_loss import teco_losses
from worldmodel_env.training.vqgan import VqganStage


def replicate(few: Path, many: Path, episodes: int) -> None:
    """Fill a data set with copies of a few recorded episodes under seeds of their own."""
    dataset = TrajectoryDataset.open(few)
    refs = dataset.episodes("train")
    (many / schema.DATA / schema.EPISODES).mkdir(parents=True)
    wanted = [("train", seed) for seed in range(episodes)] + [("validation", 1_000_000)]
    for split, seed in wanted:
        ref = refs[seed % len(refs)]
        with (
            h5py.File(ref.path, "r") as source,
            hdf5_file(many / schema.DATA / schema.episode_file(seed)) as target,
        ):
            source.copy(ref.key, target, name=schema.episode_key(seed))
            target[schema.episode_key(seed)].attrs.update(id=seed, seed=seed, split=split)
    dataset.close()


def seconds_to_open(root: Path) -> float:
    """The best of five, caches fresh."""
    return min(_timed(lambda: TrajectoryDataset.open(root), time.perf_counter) for _ in range(5))


def clip_speed(dataset: TrajectoryDataset, length: int, clips: int) -> tuple[float, float]:
    """Frames per CPU-second of random clips: of untouched episodes, and of any."""
    refs = [ref for ref in dataset.episodes("train") if ref.total_steps >= length]
    rng = np.random.default_rng(0)

    def read(chosen: list[EpisodeRef]) -> None:
        for ref in chosen:
            start = int(rng.integers(ref.total_steps + 2 - length))
            dataset.read(ref, start, start + length)

    order = rng.permutation(len(refs))[:clips]
    first = _timed(lambda: read([refs[i] for i in order]))
    for ref in refs:
        dataset.actions(ref)
    later = _timed(lambda: read([refs[i] for i in rng.integers(len(refs), size=clips)]))
    return len(order) * length / first, clips * length / later


def tokenizer_steps(
    preset: Preset, dataset: TrajectoryDataset, folder: Path, device: str, steps: int
) -> tuple[float, float, float]:
    """Seconds to read a batch, that a step waits for it, and of the step, waiting included."""
    sampler = FrameSampler(dataset, "train", preset.vqgan_training.batch_size, seed=1)
    sampler.batch(0)
    reading = _timed(lambda: [sampler.batch(2 * step) for step in range(steps)]) / steps
    place = resolve_device(device)
    with join("none", place) as team:
        stage = VqganStage(
            preset.vqgan, preset.vqgan_training, dataset, folder=folder, device=place, seed=0,
            compute=Compute(device), team=team,
        )  # fmt: skip
        waited: list[float] = []
        _watch(stage.batches, waited)
        for step in range(3):
            stage.step(step, 0.0)
        waited.clear()
        taken = _timed(
            lambda: [stage.step(3 + step, 0.0) for step in range(steps)], time.perf_counter
        )
    return reading, sum(waited) / steps, taken / steps


def world_model_steps(
    preset: Preset, dataset: TrajectoryDataset, device: str, steps: int
) -> tuple[float, float]:
    """Seconds to cut a batch of clips, and of the step that it is for."""
    training, place = preset.teco_training, resolve_device(device)
    dtype = resolve_dtype("auto", place)
    torch.manual_seed(0)
    model = Teco(with_actions(preset.teco, dataset)).to(place)
    model.code_vectors.normal_()
    store = random_store(dataset, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    generator = torch.Generator().manual_seed(0)
    cutting: list[float] = []

    def step(number: int) -> None:
        began = time.perf_counter()
        clips = sample_clips(store, training.clip, training.batch_size, 0, number).to(place)
        cutting.append(time.perf_counter() - began)
        with autocast(place, dtype):
            losses, _ = teco_losses(model, clips, training.loss, generator)
        optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        optimizer.step()
        losses["loss"].item()  # until the device is done

    step(0)
    cutting.clear()
    began = time.perf_counter()
    for number in range(steps):
        step(1 + number)
    return sum(cutting) / steps, (time.perf_counter() - began) / steps


def random_store(dataset: TrajectoryDataset, model: Teco) -> CodeStore:
    """Random codes for the training episodes."""
    starts = np.cumsum([0] + [ref.total_steps + 1 for ref in dataset.episodes("train")])
    frames, grid = int(starts[-1]), model.cfg.code_grid
    rng = np.random.default_rng(0)
    action = dataset.actions(dataset.episodes("train")[0])
    return CodeStore(
        codes=rng.integers(model.cfg.vq_codes, size=(frames, grid, grid), dtype=np.uint16),
        actions=np.zeros((frames, *action.shape[1:]), action.dtype),
        rewards=np.zeros(frames, np.float32),
        terminations=np.zeros(frames, np.bool_),
        starts=starts,
        key={},
    )


def main(
    data: Path | None = None,
    episodes: int = 2000,
    preset: str = "maze",
    device: str = "cpu",
    steps: int = 10,
    out: Path = Path("benchmarks/results/loader.json"),
) -> None:
    """Measure and report.

    Args:
        data: a recorded data set of 64 x 64 pixels; one is made if not given.
        episodes: in the set that is made, of 300 steps, copies of twenty recorded ones.
        preset: whose stages are trained.
        device: on which they are.
        steps: timed, of each stage.
        out: where the JSON goes.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if data is None:
            record("SimMaze-v0", root / "few", episodes=20, env_kwargs={"task": "explore"},
                   progress=False)  # fmt: skip
            replicate(root / "few", root / "many", episodes)
            data = root / "many"
        dataset = TrajectoryDataset.open(data)
        chosen = load_preset(preset)
        count = len(dataset.episodes())
        results = {"opening the set, s": seconds_to_open(data), "episodes in it": float(count)}
        for length in (16, 64):
            first, later = clip_speed(dataset, length, 1000)
            results[f"clips of {length}, episodes first touched, frames/CPU-s"] = first
            results[f"clips of {length}, frames/CPU-s"] = later
        reading, waiting, taken = tokenizer_steps(chosen, dataset, root, device, steps)
        results["tokenizer: reading a batch, CPU-s"] = reading
        results["tokenizer: waiting for it, s"] = waiting
        results["tokenizer: a training step, s"] = taken
        cutting, taken = world_model_steps(chosen, dataset, device, steps)
        results["world model: cutting a batch, s"] = cutting
        results["world model: a training step, s"] = taken
    name = torch.cuda.get_device_name() if device.startswith("cuda") else None
    report(results, out, cores=len(os.sched_getaffinity(0)), device=name)


def _timed(call: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    began = clock()
    call()
    return clock() - began


def _watch(sampler: FrameSampler, waited: list[float]) -> None:
    """Note how long each call of `batch` takes."""
    batch = sampler.batch

    def timed(step: int) -> np.ndarray:
        began = time.perf_counter()
        frames = batch(step)
        waited.append(time.perf_counter() - began)
        return frames

    sampler.batch = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    tyro.cli(main)
