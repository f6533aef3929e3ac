"""What a page may ask for. Every request is a small JSON object; anything else is refused."""

import json
from dataclasses import dataclass
from typing import Any

from worldmodel_env.errors import InputError

MOST_CHARACTERS = 512
MOST_PASSES = 16
HOTTEST = 2.0
_MOST = 1_000_000


@dataclass(frozen=True)
class Hello:
    """The first message: who is there; a token gets its walk back."""

    token: str | None


@dataclass(frozen=True)
class Act:
    """Press a control, by its index."""

    control: int


@dataclass(frozen=True)
class Begin:
    """Begin a new walk, at a start or at any."""

    start: int | None


@dataclass(frozen=True)
class Seek:
    """Go to a moment of the timeline, by the transitions before it."""

    elapsed: int


@dataclass(frozen=True)
class Keep:
    """Keep the present moment, to come back to."""


@dataclass(frozen=True)
class Jump:
    """Go back to a kept moment."""

    moment: int


@dataclass(frozen=True)
class Forget:
    """Let go of a kept moment."""

    moment: int


@dataclass(frozen=True)
class Tune:
    """Sample otherwise from now on."""

    steps: int
    temperature: float


@dataclass(frozen=True)
class Watch:
    """Show the world the simulator's frames from now on, or no longer."""

    on: bool


@dataclass(frozen=True)
class Starts:
    """Show some starts."""

    page: int


@dataclass(frozen=True)
class Clip:
    """Make a video of the walk; `save` writes it, and the walk, where recordings go."""

    save: bool


Message = Hello | Act | Begin | Seek | Keep | Jump | Forget | Tune | Watch | Starts | Clip


def parse(text: str) -> Message:
    """Read one message.

    Raises:
        InputError: it is not exactly one of the messages above.
    """
    fields = _object(text)
    kind = fields.pop("type", None)
    match kind:
        case "hello":
            message: Message = Hello(_token(fields))
        case "act":
            message = Act(_whole(fields, "control", 0, 255))
        case "begin":
            message = Begin(_optional(fields, "start", 0, _MOST))
        case "seek":
            message = Seek(_whole(fields, "elapsed", 0, _MOST))
        case "keep":
            message = Keep()
        case "jump":
            message = Jump(_whole(fields, "moment", 0, _MOST))
        case "forget":
            message = Forget(_whole(fields, "moment", 0, _MOST))
        case "tune":
            heat = _number(fields, "temperature", 0, HOTTEST)
            message = Tune(_whole(fields, "steps", 0, MOST_PASSES), heat)
        case "watch":
            message = Watch(_truth(fields, "on"))
        case "starts":
            message = Starts(_whole(fields, "page", 0, _MOST))
        case "clip":
            message = Clip(_truth(fields, "save"))
        case _:
            raise InputError("the message's type is none that a page sends; reload the page.")
    if fields:
        raise InputError(f"the message {kind!r} has fields that it never has; reload the page.")
    return message


def _object(text: str) -> dict[str, Any]:
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"the message has {len(text)} characters; send at most {MOST_CHARACTERS}.")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # not JSON, NaN, a number of thousands of digits, ...
        raise InputError("the message is not JSON; reload the page.") from None
    if not isinstance(value, dict):
        raise InputError("the message is not a JSON object; reload the page.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(fields := dict(pairs)) != len(pairs):
        raise ValueError("a key twice")
    return fields


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _whole(fields: dict[str, Any], name: str, least: int, most: int) -> int:
    value = fields.pop(name, None)
    if type(value) is not int or not least <= value <= most:
        raise InputError(f"{name} must be a whole number, {least} to {most}.")
    return value


def _optional(fields: dict[str, Any], name: str, least: int, most: int) -> int | None:
    if fields.get(name) is None:
        return fields.pop(name, None)
    return _whole(fields, name, least, most)


def _number(fields: dict[str, Any], name: str, least: float, most: float) -> float:
    value = fields.pop(name, None)
    if type(value) not in (int, float) or not least <= value <= most:
        raise InputError(f"{name} must be a number, {least:g} to {most:g}.")
    return float(value)


def _truth(fields: dict[str, Any], name: str) -> bool:
    value = fields.pop(name, None)
    if type(value) is not bool:
        raise InputError(f"{name} must be true or false.")
    return value


def _token(fields: dict[str, Any]) -> str | None:
    value = fields.pop("token", None)
    if value is not None and not (type(value) is str and len(value) <= 64):
        raise InputError("token must be a text of at most 64 characters, or null.")
    return value
