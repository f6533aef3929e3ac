"""The numbers of README and docs, then their tables: `python -m benchmarks`, or `make results`.

First everything that needs no training, in the order of `MEASURED`: some three hours of one core,
on a machine that does nothing else. With `--trained` also what trains models first: days of a CPU,
which go on where they were stopped. Names do these alone: `python -m benchmarks step drift`.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks import tables

MEASURED = (
    "simulator", "recording", "loader", "environment", "step", "batched", "drift", "quality",
    "probes", "turning", "walls", "teco", "mixers", "recipes", "browser",
)  # fmt: skip
DATA, RUN = "recordings/maze", "runs/first"
"""Where docs/training-a-world.md leaves recordings and tokenizer."""
TRAINED = {
    "ablations": [
        "benchmarks.ablations", "--data", DATA, "--tokenizer", RUN, "--work", "runs/ablations",
    ],
    "baselines": [
        "worldmodel_env.cli", "benchmark", "--data", DATA, "--out", "runs/benchmark",
        "--minutes", "10", "--revisit", "recordings/out-and-back",
    ],
    "teco_variants": ["benchmarks.teco_variants", "--revisit", "recordings/out-and-back"],
    "agents": ["benchmarks.agents"],
    "long_horizon": ["benchmarks.long_horizon", "--data", DATA],
}  # fmt: skip
LEFT_ELSEWHERE = {"baselines": "runs/benchmark/benchmark.json", "agents": "runs/agents/agents.json"}
"""Results that lie beside what was trained, and are copied."""


def main(
    names: Annotated[tuple[str, ...], tyro.conf.Positional] = (), trained: bool = False
) -> None:
    """Measure, and write the tables.

    Args:
        names: of measurements; all of the chosen kind if not given.
        trained: also those that train models.
    """
    commands = {name: [f"benchmarks.{name}"] for name in MEASURED} | TRAINED
    if unknown := set(names) - set(commands):
        raise SystemExit(f"no {', '.join(unknown)}; there are {', '.join(commands)}")
    for name in names or (commands if trained else MEASURED):
        print(f"\n== {name}", flush=True)
        # A process each: they set threads and cores for themselves.
        subprocess.run([sys.executable, "-m", *commands[name]], check=True)
        if name in LEFT_ELSEWHERE:
            shutil.copy(LEFT_ELSEWHERE[name], Path("benchmarks/results") / f"{name}.json")
    tables.main()


if __name__ == "__main__":
    tyro.cli(main)
