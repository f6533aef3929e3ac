"""Dataclasses to JSON and back, strictly."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from worldmodel_env.config import from_json, to_json
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class Inner:
    sizes: tuple[int, ...]
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner((1, 2))
    maybe: Inner | None = None
    rate: float = 0.5
    count: int = 3
    flag: bool = False
    name: str = "x"


def changed(**fields: Any) -> dict[str, Any]:
    return {**to_json(Outer()), **fields}


@pytest.mark.parametrize("config", [Outer(), Outer(Inner((), "b"), Inner((5,)), 1.0, -1, True)])
def test_round_trip_through_json_text(config: Outer) -> None:
    assert from_json(Outer, json.loads(json.dumps(to_json(config)))) == config


def test_an_integer_is_a_fine_float() -> None:
    rate = from_json(Outer, changed(rate=2)).rate
    assert rate == 2.0
    assert isinstance(rate, float)


def test_a_field_that_came_later_takes_its_default() -> None:
    """So that what was written before it existed still means what it meant."""
    before = {k: v for k, v in changed(count=7).items() if k != "rate"}
    assert from_json(Outer, before) == Outer(count=7)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (changed(extra=1), "unknown fields ['extra']"),
        (changed(count=1.5), "count is 1.5"),
        (changed(count=True), "count is True"),
        (changed(flag=1), "flag is 1"),
        (changed(rate="fast"), "rate is 'fast'"),
        (changed(name=None), "name is None"),
        (changed(inner={"sizes": [1, "2"], "kind": "a"}), "inner.sizes[1] is '2'"),
        (changed(inner={"sizes": 3, "kind": "a"}), "inner.sizes is 3"),
        (changed(inner={"sizes": [1], "kind": "c"}), "inner.kind is 'c'"),
        (changed(inner={"kind": "a"}), "inner has the unknown fields [] and lacks ['sizes']"),
        (changed(maybe={"sizes": [1], "kind": 1}), "maybe.kind is 1"),
        (changed(inner=None), "inner is None"),
        ([1], "Outer is [1]"),
    ],
)
def test_what_is_unknown_missing_or_mistyped_is_named(data: Any, named: str) -> None:
    with pytest.raises(InputError) as error:
        from_json(Outer, data)
    assert named in str(error.value)
