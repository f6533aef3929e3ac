"""What decides how a world remembers and is trained: `python -m benchmarks.long_horizon --help`.

Three parts, each a table and a figure of docs/results/long-horizon.md:

- `memory`: recall against lag, by mixer (`benchmarks/recall.py`);
- `exposure`: training on a world's own mistakes, by method (`benchmarks/exposure.py`);
- `passes`: sampling steps against quality after distillation (`benchmarks/exposure.py`).

What a frame costs after 300, 3,000 and 30,000 frames is in `benchmarks/mixers.py`. Every cell (a
variant and a seed) is written when it is measured; run again, what is there is kept.
"""

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from benchmarks import exposure, long_horizon_tables, recall
from benchmarks.report import processor
from worldmodel_env.data.writer import replace_file
from worldmodel_env.imagination.world import World

Part = Literal["memory", "exposure", "passes"]
Cell = dict[str, float]
SETTINGS: dict[str, Any] = {
    "memory": {"stages": recall.STAGES, "lags": recall.LAGS, "walks": recall.WALKS},
    "exposure": exposure.SETTINGS,
    "passes": exposure.SETTINGS,
}
"""What cells of a file have in common."""


def fill(
    out: Path, part: str, cells: Sequence[str], seeds: int, measure: Callable[[str, int], Cell]
) -> None:
    """Measure the cells of a part that a result file does not have yet.

    Args:
        out: the JSON file; written after every cell.
        part: name of the part.
        cells: names of the variants.
        seeds: trainings of each, all variants of one seed before those of the next.
        measure: variant and seed -> numbers by name.
    """
    content: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    settings = json.loads(json.dumps(SETTINGS[part]))
    known = content.setdefault(part, {"settings": settings, "results": {}})
    if known["settings"] != settings:
        raise SystemExit(
            f"{out} has {part} measured with {known['settings']}, now {settings}; give another "
            "--out."
        )
    for seed in range(seeds):
        for cell in cells:
            if str(seed) in known["results"].get(cell, {}):
                continue
            print(f"{part}: {cell}, seed {seed}", flush=True)
            found = measure(cell, seed)
            # Another process may have filled another part meanwhile.
            content = json.loads(out.read_text()) if out.exists() else {}
            known = content.setdefault(part, {"settings": settings, "results": {}})
            known["results"].setdefault(cell, {})[str(seed)] = found
            content["machine"] = {"processor": processor(), "cores": os.cpu_count()}
            out.parent.mkdir(parents=True, exist_ok=True)
            replace_file(out, (json.dumps(content, indent=1) + "\n").encode())
            print(f"{part}: {cell}, seed {seed}: {found}", flush=True)


def main(
    parts: Annotated[tuple[Part, ...], tyro.conf.Positional] = ("memory", "exposure", "passes"),
    data: Path = Path("recordings/maze"),
    world: str = "maze",
    walks: Path | None = None,
    work: Path = Path("runs/long-horizon"),
    seeds: int = 2,
    out: Path = Path("benchmarks/results/long_horizon.json"),
) -> None:
    """Measure what is missing.

    Args:
        parts: which.
        data: a recorded data set of SimMaze-v0.
        world: by name or folder, whose tokenizer is used.
        walks: a recorded data set with test episodes of 3,050 steps, for `exposure`.
        work: where models are trained.
        seeds: trainings of each variant.
        out: the JSON file.
    """
    torch.set_num_threads(1)
    bench = exposure.Bench(data, walks, work, World.load(world))
    if "memory" in parts:
        vectors = bench.world.imagination().vqgan.codebook.vectors()
        ask = partial(recall.measure, stores=bench.codes, vectors=vectors)
        fill(out, "memory", list(recall.MIXERS), seeds, lambda cell, seed: ask(cell, seed=seed))
    if "exposure" in parts:
        fill(out, "exposure", list(exposure.METHODS), seeds, bench.exposed)
    if "passes" in parts:
        fill(out, "passes", list(exposure.PASSES), seeds, bench.sampled)
    long_horizon_tables.main()


if __name__ == "__main__":
    tyro.cli(main)
