"""The fenced blocks of README and docs, and what the commands in them mean.

A block says in its first line what it is:

    ```python                  run in order with the page's others, in a tiny world (test_docs.py)
    ```console                 lines after `$ ` are commands: all are parsed by the real parsers
                               (test_docs.py), `worldmodel` and scripts also run, at the smallest
                               scale (e2e/test_docs_run.py)
    ```console not run: WHY    parsed only, and the reason is there to read; likewise ```python
    ```                        a picture made of letters: no commands
"""

import functools
import importlib.util
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tyro

from worldmodel_env import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = {"apt-get", "bazel", "conda", "npm"}
"""Programs that are not ours and may not be installed: their lines are not looked at."""
PROGRAMS = OTHERS | {"make", "pip", "python", "python3", "torchrun", "worldmodel"}
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file.
        line: of its first line of content.
        language: the first word behind the fence.
        not_run: why it is not run; empty if it is.
        text: its content, without the page's indentation.
    """

    page: Path
    line: int
    language: str
    not_run: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}" + f" (not run: {self.not_run})" * bool(self.not_run)

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, comments left out; `a && b` is two."""
        text = self.text.replace("\\\n", " ")
        lines = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
        parts = [part for line in lines for part in line.split(" && ")]
        return [shlex.split(part, comments=True) for part in parts]


def blocks(page: Path) -> list[Block]:
    """All blocks of a page, in order."""
    text = page.read_text()
    found = []
    for match in FENCE.finditer(text):
        indent, about, content = match.groups()
        language, _, reason = about.partition(" not run: ")
        content = re.sub(f"^{indent}", "", content, flags=re.MULTILINE)
        line = text[: match.start()].count("\n") + 2
        found.append(Block(page, line, language.strip(), reason.strip(), content))
    return found


def prose(page: Path) -> str:
    """What is outside the blocks."""
    return FENCE.sub("", page.read_text())


class Parsed(Exception):
    """A command's options are all right: its function was about to be called."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options


def parse(words: list[str], patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command's own parser makes of it; what the parser refuses fails the test."""
    real = tyro.cli

    def stop_before(function: Callable[..., Any], **settings: Any) -> Any:
        @functools.wraps(function)
        def stub(**options: Any) -> None:
            raise Parsed(options)

        # Dataclasses are options themselves: there is nothing behind them to be stopped.
        if isinstance(function, type):
            raise Parsed(vars(real(function, **settings)))
        return real(stub, **settings)

    with patch.context() as context:
        context.setattr(tyro, "cli", stop_before)
        context.chdir(ROOT)
        try:
            run(words, context)
        except Parsed as parsed:
            return parsed.options
        except SystemExit:
            raise AssertionError(f"`{shlex.join(words)}` is refused") from None
    raise AssertionError(f"`{shlex.join(words)}` takes no options")


def run(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """Run a `worldmodel` command, or a script or module of this repository, in this process."""
    program, *rest = words
    if program == "worldmodel":
        cli.main(rest)
        return
    assert program == "python", program
    module = rest[0] == "-m"
    name, arguments = (rest[1], rest[2:]) if module else (rest[0], rest[1:])
    patch.setattr(sys, "argv", [name, *arguments])
    # What did not ask tyro for its options would run in earnest when it is only to be parsed.
    assert "tyro.cli(" in source(name).read_text(), name
    if module:
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(str(ROOT / name), run_name="__main__")


def source(name: str) -> Path:
    """The file of a script, a module or a package that can be run."""
    path = ROOT / (name if name.endswith(".py") else name.replace(".", "/"))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def is_ours(words: list[str]) -> bool:
    """Whether `run` knows the command."""
    if words[0] != "python":
        return words[0] == "worldmodel"
    name = words[2].replace(".", "/") if words[1] == "-m" else words[1]
    return (ROOT / name.split("/")[0]).is_dir()


def check(words: list[str], patch: pytest.MonkeyPatch) -> None:
    """Fail unless the command is one that could be typed."""
    program, *rest = words
    if is_ours(words):
        parse(words, patch)
    elif program == "torchrun":
        from torch.distributed.run import get_args_parser

        arguments = get_args_parser().parse_args(rest)
        assert arguments.module, words
        assert arguments.training_script == "worldmodel_env.cli"
        parse(["worldmodel", *arguments.training_script_args], patch)
    elif program == "make":
        assert set(rest) <= targets(), f"`{shlex.join(words)}`: no such target"
    elif program in ("python", "python3"):
        assert rest[0] == "-m", words
        assert importlib.util.find_spec(rest[1]), words
    elif Path(program).name == "pip":
        check_pip(rest)
    else:
        assert program in OTHERS, f"{program} of `{shlex.join(words)}` is not known to this test"


def check_pip(words: list[str]) -> None:
    """Fail unless files and extras exist."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for word in words:
        assert not word.endswith(".txt") or (ROOT / word).is_file(), word
        if found := re.fullmatch(r"worldmodel-env\[(.+)\]", word):
            assert set(found[1].split(",")) <= set(extras), word


def targets() -> set[str]:
    """Of the Makefile."""
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def leaves(tree: cli.Tree = cli.COMMANDS, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every subcommand, as its words."""
    for name, node in tree.items():
        if isinstance(node, dict):
            yield from leaves(node, (*path, name))
        else:
            yield (*path, name)
