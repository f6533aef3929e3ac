"""What keeps TECO where `worldmodel benchmark` finds it: `python -m benchmarks.teco_variants`.

Scores the trainings of a finished benchmark once more, with z drawn from the prior, and the shipped
world, a larger TECO trained for hours and in part on its own predictions: by the same protocol,
without films.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import tyro

from worldmodel_env.evaluation.benchmark_table import format_table
from worldmodel_env.evaluation.predictor import BATCH, WorldPredictor
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.training.benchmark import Wish, make_examiner, prepare
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.contestants import fitted, make_predictor
from worldmodel_env.training.suites import TecoEntry, load_suite

NEVER = {"z never drawn": Sampling(steps=0)}
"""As the benchmark itself draws."""
DRAWS = {
    "z drawn for three frames in ten": Sampling(steps=2, share=0.3),
    "z drawn for every frame": Sampling(steps=4),
}


def main(
    data: Path = Path("recordings/maze"),
    revisit: Path | None = None,
    benchmark: Path = Path("runs/benchmark"),
    seeds: tuple[int, ...] = (0, 1, 2),
    world: str = "maze",
    out: Path = Path("benchmarks/results/teco_variants.json"),
) -> None:
    """Score and report; what was scored before is kept.

    Args:
        data: as `worldmodel benchmark` was given.
        revisit: likewise.
        benchmark: its `--out`.
        seeds: whose trainings are scored.
        world: the larger one.
        out: where the JSON goes, in the form of benchmark.json.
    """
    torch.set_num_threads(1)
    suite = load_suite("small")
    wish = Wish(data, benchmark, minutes=1, world=world, revisit=revisit)
    ground, about = prepare(wish)
    examiner = make_examiner(wish, ground, replace(suite.protocol, films=False))
    entry = fitted(suite.entries["teco"], ground)
    assert isinstance(entry, TecoEntry)
    content: dict[str, Any] = {
        "about": about, "protocol": examiner.about(), "plan": {}, "results": {}, "ceiling": {}
    }  # fmt: skip

    def keep(row: str, seed: int, identity: dict[str, Any], predictor: Any) -> None:
        place = benchmark / "variants" / row.replace(" ", "-").replace(",", "") / str(seed)
        scores = examiner.score(predictor, BATCH, place, {**about, "row": row, **identity}, seed)
        content["results"].setdefault(row, {})[str(seed)] = scores
        out.write_text(json.dumps(content, indent=1) + "\n")

    for draws, sampling in DRAWS.items():
        for seed in seeds:
            checkpoint = Checkpoint.open(benchmark / f"teco-{seed}")
            drawing = replace(entry, sampling=sampling)
            predictor = partial(make_predictor, "teco", drawing, ground, checkpoint.weights())
            keep(f"teco, {draws}", seed, {"steps": checkpoint.counters["step"]}, predictor)
    shipped = World.load(world)
    for draws, sampling in (NEVER | DRAWS).items():
        predict = partial(_shipped, shipped, sampling)
        keep(f"{world}, {draws}", 0, {"digest": shipped.digest}, predict)
    print(format_table(content))


def _shipped(world: World, sampling: Sampling, batch: int) -> WorldPredictor:
    return WorldPredictor(world, "torch", batch=batch, precision="fp32", sampling=sampling)


if __name__ == "__main__":
    tyro.cli(main)
