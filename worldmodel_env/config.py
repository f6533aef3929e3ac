"""Frozen dataclasses to JSON and back; unknown and mistyped fields are refused.

A field that is absent takes its default, so that a configuration written before the field existed
still means what it meant: whoever adds a field gives it the behaviour from before as its default.
"""

import dataclasses
import types
import typing
from typing import Any, TypeVar

from worldmodel_env.errors import InputError

T = TypeVar("T")


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values (tuples become lists)."""
    return _plain(dataclasses.asdict(config))


def from_json(cls: type[T], data: Any, where: str = "") -> T:
    """Rebuild `cls` from what `to_json` gave.

    Args:
        cls: a dataclass whose fields are numbers, strings, booleans, tuples, None or dataclasses.
        data: parsed JSON.
        where: path of `data` inside its document, for messages.

    Raises:
        InputError: a field is unknown, absent without a default, or of another type; the message
            names it.
    """
    if not isinstance(data, dict):
        raise InputError(
            f"{where or cls.__name__} is {data!r}, expected an object; check the file."
        )
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(data) - set(fields))
    missing = sorted(name for name in set(fields) - set(data) if _required(fields[name]))
    if unknown or missing:
        raise InputError(
            f"{where or cls.__name__} has the unknown fields {unknown} and lacks {missing}; it was "
            "written by another version of worldmodel-env: use that one."
        )
    return cls(**{k: _value(hints[k], v, f"{where}.{k}".lstrip(".")) for k, v in data.items()})


def _required(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value, where)  # type: ignore[arg-type]
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        return _value(next(a for a in typing.get_args(hint) if a is not type(None)), value, where)
    if origin is tuple and isinstance(value, list):
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is typing.Literal and value in typing.get_args(hint):
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    raise InputError(f"{where} is {value!r}, expected {hint}; check the file.")
