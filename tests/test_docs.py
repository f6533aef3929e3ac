"""README and docs say what is so: tables, links, commands, options, names and Python."""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import doc_blocks as docs
import numpy as np
import pytest
import tyro
from nano import make_nano

from benchmarks import tables
from simulators.recorder import record
from worldmodel_env import cli

ROOT, PAGES = docs.ROOT, docs.PAGES
SHELL = [b for page in PAGES for b in docs.blocks(page) if b.language == "console"]
PYTHON = sorted({b.page for page in PAGES for b in docs.blocks(page) if b.language == "python"})


@pytest.mark.parametrize("page", tables.PAGES)
def test_tables_are_generated(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / page).read_text()
    assert tables.render(text, tables.PAGES[page]) == text, "run `make tables`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"(?:\]\(|src(?:set)?=\")([^)\" ]+)", docs.prose(page)):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name} links to {name}"
        assert target.resolve().is_relative_to(ROOT), f"{page.name} links outside: {name}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    """The headings, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", docs.prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_say_what_they_are(page: Path) -> None:
    for block in docs.blocks(page):
        assert block.language in ("", "console", "python"), f"{block}: {block.language}"
        if block.language == "":
            first = {line.split()[0] for line in block.text.splitlines() if line.strip()}
            assert not first & (docs.PROGRAMS | {"$"}), f"{block}: commands are ```console"
        if block.language == "console":
            assert block.commands, f"{block} has no command"


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_are_understood(block: docs.Block, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in block.commands:
        docs.check(words, monkeypatch)


@pytest.fixture(scope="module")
def options() -> dict[tuple[str, ...], set[str]]:
    """The options of every subcommand."""
    found = {}
    for path in docs.leaves():
        node: object = cli.COMMANDS
        for word in path:
            node = node[word]  # type: ignore[index]
        function = node.make() if isinstance(node, cli.Later) else node
        found[path] = set(tyro.extras.get_parser(function)._option_string_actions)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_text_names_exists(page: Path, options: dict[tuple[str, ...], set[str]]) -> None:
    """Commands, options, files and modules between single backquotes."""
    text = docs.prose(page)
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]
    known = set.union(*options.values()) | script_options()
    for span in spans:
        words = span.split()
        if words[0] == "worldmodel" and len(words) > 1:
            command = next((p for p in options if list(p) == words[1 : 1 + len(p)]), None)
            group = tuple(words[1:]) in {p[:-1] for p in options}
            assert command or group or words[1:] == ["--version"], f"no command `{span}`"
            given = {word for word in words if word.startswith("--")}
            assert not command or given <= options[command], f"`{span}`"
        elif words[:2] == ["python", "-m"]:
            assert docs.source(words[2]).exists(), f"no script `{span}`"
            assert {word for word in words if word.startswith("--")} <= known, f"`{span}`"
        elif words[0] == "make" and len(words) > 1:
            assert set(words[1:]) <= docs.targets(), f"no target `{span}`"
        elif re.match(r"--[a-z]", span):
            given = {word for word in words if word.startswith("--")}
            assert given <= known, f"no command has `{span}`"
        elif re.fullmatch(rf"(?:{FOLDERS})/[\w./-]+", span):
            script = span.replace("results/", "").replace(".json", ".py")  # which writes it
            assert (ROOT / span).exists() or (ROOT / script).exists(), f"{page.name} names {span}"
        elif re.fullmatch(r"(?:worldmodel_env|simulators|agents|exporters)(\.\w+)+", span):
            assert resolves(span), f"{page.name} names {span}"


FOLDERS = "worldmodel_env|simulators|agents|exporters|benchmarks|tests|docs"


def script_options() -> set[str]:
    """Whatever may be an option of a script; and one of pip's."""
    names = set()
    for folder in ("exporters", "benchmarks", "agents/examples"):
        for script in (ROOT / folder).glob("*.py"):
            names |= set(re.findall(r"^    (\w+): ", script.read_text(), re.MULTILINE))
    return {"--" + name.replace("_", "-") for name in names} | {"--no-deps"}


def resolves(name: str) -> bool:
    """Whether a dotted name is a module or something in one."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return hasattr(importlib.import_module(module), attribute)
    return True


SMALLER = {
    "agents.md": [("steps=20_000", "steps=1, num_envs=4, rollout=8"), ("000_020", "000_002")],
    "benchmark.md": [("episodes=64", "episodes=1")],
    "rl-libraries.md": [(").learn(20_000)", ", n_steps=8, n_epochs=1).learn(1)")],
    "trajectory-format.md": [("episodes=2000", "episodes=2"), ("=100,", "=1,"), ("=500", "=1")],
}
"""What is made smaller: page -> (text, its replacement), which must be there."""


@pytest.fixture(scope="module")
def tiny_maze(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of SimMaze-v0 for training and one of each other split."""
    root = tmp_path_factory.mktemp("sets") / "maze"
    task = {"task": "explore"}
    record("SimMaze-v0", root, episodes=2, validation=1, test=1, env_kwargs=task, progress=False)
    return root


@pytest.fixture(scope="module")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained world with the spaces of `maze`, which also imagines first frames."""
    world = make_nano(resolution=64, starts=32, first_frame=True)
    return replace(world, name="maze").save(tmp_path_factory.mktemp("worlds") / "maze")


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
def test_python_runs(
    page: Path,
    tiny_world: Path,
    tiny_maze: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In order and in one namespace, with `maze` a tiny world and what a reader would bring."""
    monkeypatch.setattr("worldmodel_env.imagination.world.find_world", lambda name: tiny_world)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINARI_DATASETS_PATH", raising=False)
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "maze").symlink_to(tiny_maze)
    films = np.random.default_rng(0).integers(0, 256, (4, 9, 64, 64, 3)).astype(np.uint8)
    names = {
        "__name__": "docs",
        "frame": films[0, 0], "action": 1,
        "frames": films[0], "actions": np.array([0, 1, 2, 0, 1, 2, 0, 1]),
        "frame_of_each": np.repeat(films[0, :1], 16, 0), "action_of_each": np.ones(16, int),
        "mask": np.arange(16) % 2 == 0,
        "my_model": lambda frames, actions: np.repeat(frames[-1:], 156, 0),
        "true": films[0], "imagined": films[1], "true_films": films[:2],
        "imagined_films": films[2:],
    }  # fmt: skip
    smaller = SMALLER.get(page.name, [])
    for block in docs.blocks(page):
        if block.language != "python" or block.not_run:
            continue
        text = block.text
        for large, small in smaller:
            text = text.replace(large, small)
        exec(compile("\n" * (block.line - 1) + text, str(page), "exec"), names)
    whole = page.read_text()
    assert all(large in whole for large, _ in smaller), "SMALLER names what is not there"
