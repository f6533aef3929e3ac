"""Quality of a tokenizer on mazes it never saw: `python -m benchmarks.tokenizer`."""

import tempfile
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from benchmarks.quality import POLICY
from benchmarks.report import report
from simulators.recorder import record
from worldmodel_env.config import from_json
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.strips import write_strips
from worldmodel_env.evaluation.tokenizer import measure_tokenizer
from worldmodel_env.imagination.world import World
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.vqgan import STAGE

SHOWN = 16


def main(
    tokenizer: str = "maze",
    data: Path | None = None,
    split: str = "test",
    episodes: int = 64,
    every: int = 4,
    threads: int = 1,
    out: Path = Path("benchmarks/results/tokenizer.json"),
    strip: Path | None = None,
) -> None:
    """Measure and report.

    Args:
        tokenizer: a training's run folder, a world's folder or a shipped world's name.
        data: a recorded data set; if not given, episodes of SimMaze-v0 are recorded anew, the same
            everywhere, for an episode is a function of its seed.
        split: which of its episodes.
        episodes: how many of them, the first by seed.
        every: 4 takes every fourth frame.
        threads: CPU threads of torch.
        out: where the JSON goes.
        strip: a PNG of true and reconstructed frames, if wanted.
    """
    torch.set_num_threads(threads)
    model = load_tokenizer(tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder) / "maze-v0"
            task = {"task": "explore"}
            record("SimMaze-v0", data, episodes=0, test=episodes, policy=POLICY, env_kwargs=task)
        frames = read_frames(data, split, episodes, every)
    quality, decoded = measure_tokenizer(model, frames, Lpips("alex"))
    assert quality.lpips is not None  # a network was given
    results = {
        "PSNR, dB": quality.psnr,
        "LPIPS (alex)": quality.lpips,
        "share of the codes used": quality.codes_used,
        "perplexity": quality.perplexity,
        "frames": float(len(frames)),
    }
    report(results, out, cores=threads)
    if strip is not None:
        shown = np.linspace(0, len(frames) - 1, SHOWN).astype(int)
        rows = {"true": frames[shown], "tokenizer": decoded[shown]}
        write_strips(strip, [rows], range(SHOWN))


def load_tokenizer(source: str) -> Vqgan:
    """The tokenizer of a run folder or of a world, for inference."""
    if (folder := Path(source) / STAGE).is_dir():
        checkpoint = Checkpoint.open(folder)
        model = Vqgan(from_json(VqganConfig, checkpoint.config, str(checkpoint.path)))
        model.load_state_dict(checkpoint.weights())
        return model.eval().requires_grad_(False)
    return World.load(source).imagination().vqgan


def read_frames(data: Path, split: str, episodes: int, every: int) -> NDArray[np.uint8]:
    """Every `every`-th frame (N, R, R, 3) of a split's first episodes."""
    dataset = TrajectoryDataset.open(data)
    refs = dataset.episodes(split)[:episodes]
    return np.concatenate([dataset.read(ref).observations[::every] for ref in refs])


if __name__ == "__main__":
    tyro.cli(main)
