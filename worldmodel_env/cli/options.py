"""What options of several commands mean."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Later:
    """A command whose options are a dataclass of a package that is imported when it is asked for.

    Attributes:
        make: imports, and returns the command; has its first line of help.
    """

    make: Callable[[], Callable[..., None]]


def parse_shard(text: str) -> tuple[int, int]:
    """`k/n` as two numbers."""
    try:
        k, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"--shard is {text!r}; give k/n, such as 0/4.") from None
    return k, n


def parse_pairs(option: str, words: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE ...` as a mapping; a value that is JSON becomes what it says, else a text."""
    found: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InputError(f"{option} is {word!r}; give NAME=VALUE, such as size=64.")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def set_threads(threads: int | None) -> None:
    """Let torch use so many CPU threads; None leaves it all cores."""
    import torch

    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads is {threads}; give 1 or more.")
        torch.set_num_threads(threads)
