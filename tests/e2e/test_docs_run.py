"""Every command of README and docs that can run here runs, page by page, at the smallest scale.

Which cannot, its block says (tests/doc_blocks.py). Options are replaced by those of `SMALLEST`;
data sets and worlds that a page does not make itself are put where it looks for them.
"""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import doc_blocks as docs
import numpy as np
import pytest

from simulators.recorder import record
from worldmodel_env.imagination.world import find_world

PAGES = [
    page
    for page in docs.PAGES
    for blocks in [[b for b in docs.blocks(page) if b.language == "console" and not b.not_run]]
    if any(docs.is_ours(words) for block in blocks for words in block.commands)
]
Options = dict[str, str | None]
TRAINING: Options = {"steps": "1", "minutes": None}
AGENT: Options = {"num-envs": "4", "rollout": "4", "steps": "1"}
SMALLEST: dict[str, Options] = {
    "agent evaluate": {"episodes": "2", "num-envs": "2"},
    "agent plan": {
        "episodes": "1", "horizon": "2", "branches": "4", "iterations": "1",
        "env-kwargs": "max_episode_steps=3",
    },
    "agent train": {**AGENT, "branch-hindsight": "4"},
    "agent transfer": {
        "seeds": "1", "episodes": "2", "rounds": "2", "fresh": "1", "world-steps": "1",
        "ppo.evaluate-episodes": "1", **{f"ppo.{name}": value for name, value in AGENT.items()},
    },
    "benchmark": {"minutes": "0.02", "scale": "nano", "seeds": "0"},
    "blind": {"episodes": "1"},
    "evaluate": {"episodes": "1"},
    "evaluate --protocol": {"episodes": "1", "no-film": ""},
    "exporters/quantise.py": {"frames": "10", "worlds": "2"},
    "exporters/verify.py": {"frames": "10", "worlds": "2"},
    "imagine": {"frames": "3"},
    "probe": {
        "context": "16", "horizon": "16", "episodes": "2", "drift-horizon": "20",
        "drift-episodes": "1",
    },
    "record": {"episodes": "2", "validation": "2", "test": "2", "workers": "1"},
    "train selfforcing": TRAINING,
    "train teco": TRAINING,
    "train vqgan": TRAINING,
}  # fmt: skip
"""The beginning of a command -> options with which it does little; None takes one away."""


@pytest.fixture(scope="module")
def maze_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of SimMaze-v0 for each split and task."""
    root = tmp_path_factory.mktemp("sets") / "maze"
    for seed, task in ((0, "goal"), (10_000, "explore")):
        record(
            "SimMaze-v0", root, episodes=2, validation=2, test=2, seed=seed,
            env_kwargs={"task": task}, progress=False,
        )  # fmt: skip
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where exports go, that the user's cache stays as it is."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_run(
    page: Path, maze_set: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    GIVEN.get(page.name, lambda _: None)(maze_set)
    for block in docs.blocks(page):
        if block.language != "console" or block.not_run:
            continue
        for words in filter(docs.is_ours, block.commands):
            bring(docs.parse(words, monkeypatch), maze_set)
            with monkeypatch.context() as context:
                if words[1] == "play":
                    serve(words)
                else:
                    docs.run(smallest(words), context)


def bring(options: dict[str, object], maze_set: Path) -> None:
    """Put a data set and a world where a command expects them."""
    options = {**options, **vars(options.get("args", object))} if "args" in options else options
    for name in ("data", "revisit", "branch_data"):
        path = options.get(name)
        if isinstance(path, Path) and not path.exists():
            shutil.copytree(maze_set, path)
    given = dict(word.split("=", 1) for word in options.get("env_kwargs", ()))  # type: ignore
    world = str(options.get("world", given.get("world", "")))
    if "/" in world and not Path(world).exists():
        shutil.copytree(find_world("maze"), world)


def smallest(words: list[str]) -> list[str]:
    """The command with the options of `SMALLEST` in place of its own."""
    command = " ".join(words[1:])
    key = max((key for key in SMALLEST if command.startswith(key)), key=len, default="")
    for option, value in SMALLEST.get(key, {}).items():
        while f"--{option}" in words:
            first = words.index(f"--{option}")
            last = next((i for i in range(first + 1, len(words)) if words[i][:2] == "--"), None)
            words = words[:first] + (words[last:] if last else [])
        if value is not None:
            words = [*words, f"--{option}", *value.split()]
    return words


def serve(words: list[str]) -> None:
    """Start `worldmodel play`, ask for its page, stop it."""
    command = [sys.executable, "-m", "worldmodel_env.cli", *words[1:], "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        assert match, line
        connection = HTTPConnection("127.0.0.1", int(match[1]), timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()


def write_dots(_: Path) -> None:
    """The file that docs/adding-a-simulator.md tells to write."""
    (block,) = (b for b in docs.blocks(docs.ROOT / "docs/adding-a-simulator.md")
                if b.language == "python")  # fmt: skip
    Path("dots.py").write_text(block.text)


def write_predictions(maze_set: Path) -> None:
    """The file that docs/benchmark.md tells how to write."""
    Path("recordings").mkdir()
    shutil.copytree(maze_set, "recordings/maze")
    block = next(b for b in docs.blocks(docs.ROOT / "docs/benchmark.md") if b.language == "python")
    exec(block.text, {"my_model": lambda frames, actions: np.repeat(frames[-1:], 156, 0)})


GIVEN: dict[str, Callable[[Path], None]] = {
    "adding-a-simulator.md": write_dots,
    "benchmark.md": write_predictions,
    "probes.md": write_predictions,
}
"""What a page's reader has made before the commands."""
