"""Messages are read strictly."""

import json

import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.play import messages as ask

GOOD = {
    '{"type":"hello","token":null}': ask.Hello(None),
    '{"type":"hello","token":"abc"}': ask.Hello("abc"),
    '{"type":"act","control":2}': ask.Act(2),
    '{"type":"begin"}': ask.Begin(None),
    '{"type":"begin","start":null}': ask.Begin(None),
    '{"type":"begin","start":7}': ask.Begin(7),
    '{"type":"seek","elapsed":0}': ask.Seek(0),
    '{"type":"keep"}': ask.Keep(),
    '{"type":"jump","moment":1}': ask.Jump(1),
    '{"type":"forget","moment":1}': ask.Forget(1),
    '{"type":"tune","steps":4,"temperature":0.5}': ask.Tune(4, 0.5),
    '{"type":"tune","steps":0,"temperature":1}': ask.Tune(0, 1.0),
    '{"type":"watch","on":true}': ask.Watch(True),
    '{"type":"starts","page":3}': ask.Starts(3),
    '{"type":"clip","save":false}': ask.Clip(False),
}

HOSTILE = (
    "",
    "hello",
    "null",
    "[]",
    "3",
    "{}",
    "[" * 500,
    '{"type":"act"}',
    '{"type":"act","control":true}',
    '{"type":"act","control":1.0}',
    '{"type":"act","control":"1"}',
    '{"type":"act","control":-1}',
    '{"type":"act","control":256}',
    '{"type":"act","control":' + "9" * 400 + "}",
    '{"type":"act","control":NaN}',
    '{"type":"act","control":Infinity}',
    '{"type":"act","control":null}',
    '{"type":"act","control":[1]}',
    '{"type":"act","control":1,"more":1}',
    '{"type":"act","control":1,"control":2}',
    '{"type":"act","control":1}{"type":"keep"}',
    '{"type":["act"],"control":1}',
    '{"type":{"a":1}}',
    '{"type":"__init__"}',
    '{"type":"begin","start":"0"}',
    '{"type":"begin","start":false}',
    '{"type":"tune","steps":17,"temperature":1}',
    '{"type":"tune","steps":4,"temperature":1e999}',
    '{"type":"tune","steps":4,"temperature":-0.1}',
    '{"type":"tune","steps":4,"temperature":' + "9" * 400 + "}",
    '{"type":"tune","steps":4,"temperature":NaN}',
    '{"type":"watch","on":1}',
    '{"type":"hello","token":5}',
    '{"type":"hello","token":"' + "a" * 65 + '"}',
    json.dumps({"type": "keep", "padding": "x" * 600}),
)


@pytest.mark.parametrize(("text", "message"), GOOD.items())
def test_each_message_is_read(text: str, message: ask.Message) -> None:
    assert ask.parse(text) == message


@pytest.mark.parametrize("text", HOSTILE)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        ask.parse(text)
    assert len(str(refusal.value)) < 200
