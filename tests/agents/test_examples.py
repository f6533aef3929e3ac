"""The examples train in an untrained world and end with the mean return."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from nano import make_nano

EXAMPLES = Path(__file__).parents[2] / "agents" / "examples"
NEEDED = {
    "cleanrl_ppo": ("torch", None),
    "rllib_ppo": ("ray.rllib", None),
    "sb3_ppo": ("stable_baselines3", None),
    "tianshou_ppo": ("tianshou", "2"),
    "torchrl_ppo": ("torchrl", None),
}
"""Example -> the module it needs, and the least version of it."""
SHORT = {"max_episode_steps": 10, "num_envs": 4, "rollout": 16, "steps": 128, "seed": 1}


def load(name: str, run_name: str = "example"):
    module, version = NEEDED[name]
    pytest.importorskip(module, minversion=version, exc_type=ImportError)
    return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name=run_name)


def test_every_example_is_tested():
    assert sorted(path.stem for path in EXAMPLES.glob("*.py")) == sorted(NEEDED)


@pytest.mark.parametrize("name", NEEDED)
def test_trains(name, capsys):
    example = load(name)
    # 64 x 64, for networks that refuse smaller frames.
    settings = {"world": make_nano(resolution=64), **SHORT}
    if "Args" in example:
        example["main"](example["Args"](**settings))
    else:
        example["main"](**settings)
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert re.fullmatch(r"mean return in imagination over \d+ episodes: -?\d+\.\d{3}", last)


@pytest.mark.parametrize("name", NEEDED)
def test_help(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as end:
        load(name, run_name="__main__")
    assert end.value.code == 0
    text = capsys.readouterr().out
    for option in ("--world", *(f"--{name.replace('_', '-')}" for name in SHORT)):
        assert option in text
