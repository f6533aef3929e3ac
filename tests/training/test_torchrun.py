"""The commands as users give them, from torchrun to a world."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import stages

from worldmodel_env.imagination.world import World


@pytest.mark.slow
def test_a_world_is_trained_by_two_processes(toy_set: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "worldmodel_env.cli", "train",
    ]  # fmt: skip
    common = ["--preset", "nano", "--data", str(toy_set), "--out", str(tmp_path), "--steps", "2"]

    def run(*options: str) -> str:
        done = subprocess.run(
            [*command, *options, *common, "--device", "cpu", "--threads", "1"],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = run("vqgan", "--distributed", "ddp")
    assert printed.count("tokenizer: ") == 1
    printed = run("teco", "--distributed", "fsdp", "--accumulate", "2", "--average", "0.9")
    assert printed.count("world: ") == 1
    assert len(stages.losses(tmp_path / "teco")) == 2
    provenance = World.load(tmp_path / "world").provenance
    assert provenance["world_model_step"] == 2
    assert "2 x 1 threads" in provenance["hardware"]
