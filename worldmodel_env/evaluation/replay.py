"""Evaluate a world on held-out episodes with replayed actions: `worldmodel evaluate`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.horizon import HorizonReport, evaluate_horizons
from worldmodel_env.evaluation.metrics import psnr
from worldmodel_env.evaluation.plot import plot_horizons
from worldmodel_env.evaluation.strips import write_strips
from worldmodel_env.imagination.rollout import replay
from worldmodel_env.imagination.world import World

BATCH = 16
SHOWN = (1, 2, 3, 5, 8, 10, 15, 20, 25, 35, 50, 75, 100, 150, 200, 250)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate_world` measured.

    Attributes:
        horizons: quality by horizon beside the last frame copied and the tokenizer alone.
        shuffled_psnr: (K,) mean PSNR by horizon when each episode is given another's actions: a
            world that ignores actions loses nothing by it.
        protocol: world, data, split, context and seed, so that the run can be repeated.
    """

    horizons: HorizonReport
    shuffled_psnr: NDArray[np.float64]
    protocol: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        shuffled = np.round(self.shuffled_psnr, 6).tolist()
        return {"protocol": self.protocol, **self.horizons.as_dict(), "shuffled_psnr": shuffled}

    def summary(self) -> dict[str, float]:
        """The numbers that a model card shows."""
        curves = self.horizons.curves
        numbers: dict[str, float] = {
            "tokenizer PSNR (dB)": float(curves["tokenizer"]["psnr"].mean.mean())
        }
        for horizon in (h for h in (1, 5, 10, 25) if h <= len(self.shuffled_psnr)):
            world, copy = curves["world"], curves["copy_last"]
            at = horizon - 1
            numbers[f"PSNR at {horizon} (dB)"] = float(world["psnr"].mean[at])
            numbers[f"PSNR at {horizon}, last frame copied (dB)"] = float(copy["psnr"].mean[at])
            if "lpips" in world:
                numbers[f"LPIPS at {horizon}"] = float(world["lpips"].mean[at])
                numbers[f"LPIPS at {horizon}, last frame copied"] = float(copy["lpips"].mean[at])
        first = slice(0, 3)
        gap = curves["world"]["psnr"].mean[first].mean() - self.shuffled_psnr[first].mean()
        numbers["PSNR lost at 1-3 with shuffled actions (dB)"] = float(gap)
        return {name: round(value, 4) for name, value in numbers.items()}


def evaluate_world(
    world: World,
    data: Path,
    out: Path,
    *,
    split: str = "test",
    context: int = 36,
    horizon: int = 25,
    episodes: int = 64,
    seed: int = 0,
) -> Evaluation:
    """Imagine what held-out episodes really showed, and compare.

    Writes out/report.json, out/horizons.png and out/strips.png.

    Args:
        world: the world.
        data: a recorded data set of the same spaces.
        out: the report's folder.
        split: which part of the data; not train.
        context: real frames given before imagination starts, C.
        horizon: frames imagined with the recorded actions, K.
        episodes: at most this many, the first by seed with at least C+K frames.
        seed: of the imagination's noise, the shuffling and the bootstrap.

    Raises:
        InputError: no episode is long enough, or spaces differ from the world's.
    """
    true, actions = _clips(world, data, split, context + horizon, episodes)
    model = world.imagination()
    order = np.random.default_rng(seed).permutation(len(true))
    # Each episode's actions go to the next one of a random ring, so none keeps its own.
    other = actions.clone()
    other[order] = actions[np.roll(order, 1)]
    other[:, : context - 1] = actions[:, : context - 1]
    imagined: list[NDArray[np.uint8]] = []
    shuffled: list[NDArray[np.uint8]] = []
    decoded: list[NDArray[np.uint8]] = []
    starts = range(0, len(true), BATCH)
    for begin in tqdm(starts, desc="imagine", unit="batch", disable=None):
        rows = slice(begin, begin + BATCH)
        with torch.no_grad():
            frames = torch.from_numpy(true[rows])
            codes = model.vqgan.encode(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
            ceiling = model.vqgan.decode(codes[:, context:].flatten(0, 1))
        decoded.append(ceiling.unflatten(0, (len(frames), horizon)).numpy())
        for found, chosen in ((imagined, actions), (shuffled, other)):
            key = seed * 1_000_003 + begin
            found.append(replay(model, codes[:, :context], chosen[rows], horizon, key=key).numpy())
    target = true[:, context:]
    prediction, mixed = np.concatenate(imagined), np.concatenate(shuffled)
    report = evaluate_horizons(
        target, prediction, true[:, context - 1], ceiling=np.concatenate(decoded), seed=seed
    )
    protocol = {
        "world": world.name,
        "world_digest": world.digest,
        "data": TrajectoryDataset.open(data).data_hash(split),
        "split": split,
        "context": context,
        "sampling": asdict(model.sampling),
        "seed": seed,
    }
    result = Evaluation(report, psnr(target, mixed).mean(0), protocol)
    out.mkdir(parents=True, exist_ok=True)
    replace_file(out / "report.json", (json.dumps(result.as_dict(), indent=1) + "\n").encode())
    plot_horizons(report, out / "horizons.png", f"{world.name}, {context} frames of context")
    columns = [h for h in SHOWN if h <= horizon]
    picked = [h - 1 for h in columns]
    few = np.linspace(0, len(true) - 1, min(6, len(true))).astype(int)
    write_strips(
        out / "strips.png",
        [{"true": target[i, picked], "imagined": prediction[i, picked]} for i in few],
        columns,
    )
    return result


def _clips(
    world: World, data: Path, split: str, length: int, episodes: int
) -> tuple[NDArray[np.uint8], Tensor]:
    """Frames (N, length, H, W, 3) uint8 and actions (N, length-1, ...) of the first episodes."""
    dataset = TrajectoryDataset.open(data)
    for what, mine, theirs in (
        ("frames", world.observation_space, dataset.observation_space),
        ("actions", world.action_space, dataset.action_space),
    ):
        if mine != theirs:
            raise InputError(
                f"{data} has {what} {theirs} but world {world.name!r} has {mine}; evaluate it on "
                "data of its own simulator."
            )
    refs = [r for r in dataset.episodes(split) if r.total_steps + 1 >= length][:episodes]
    if not refs:
        raise InputError(
            f"{data} has no {split} episode of {length} frames; record longer ones, or lower the "
            "context or the horizon."
        )
    clips = [dataset.read(ref, 0, length) for ref in refs]
    actions = np.stack([c.actions.reshape(length - 1, -1) for c in clips])
    flat = actions[..., 0] if clips[0].actions.ndim == 1 else actions
    return np.stack([c.observations for c in clips]), torch.from_numpy(flat)
