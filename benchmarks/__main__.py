"""All numbers that need no training, one after another: `python -m benchmarks`."""

import subprocess
import sys

SCRIPTS = (
    "simulator",
    "recording",
    "loader",
    "imagination",
    "environment",
    "step",
    "batched",
    "drift",
    "quality",
    "teco",
    "mixers",
    "tables",
)

for script in SCRIPTS:
    print(f"\n== benchmarks.{script}", flush=True)
    # A process each: they set threads and cores for themselves.
    subprocess.run([sys.executable, "-m", f"benchmarks.{script}"], check=True)
