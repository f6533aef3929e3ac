"""Exports in 8 bits."""

import json

import numpy as np
import pytest

from exporters import drift, int8
from exporters.quantise import quantise
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export.manifest import Export

onnx = pytest.importorskip("onnx")


@pytest.fixture
def lenient(monkeypatch):
    """The codes of an untrained world are nearly equally likely, and flip at the least error."""
    monkeypatch.setattr(drift, "DRAWN", (0.2, 5.0, 0.0))


def weights_by_module(file):
    """Weights that layers read, and whether they are stored in 8 bits."""
    graph = onnx.load(str(file)).graph
    packed = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in graph.node:
        if node.op_type in int8.OUTPUT_AXIS:
            notes = {note.key: note.value for note in node.metadata_props}
            yield notes.get(int8.SCOPES, ""), node.input[1] in packed


def test_weights_are_packed_but_for_codebooks_and_heads(made, tmp_path):
    target = tmp_path / "step.onnx"
    int8.weights_in_8_bits(made.file("step"), target)
    onnx.checker.check_model(str(target), full_check=True)
    modules = dict(weights_by_module(target))
    assert any(packed for name, packed in modules.items() if "temporal.layers.0.mlp.up" in name)
    assert any(packed for name, packed in modules.items() if "vqgan.decoder" in name)
    spared = [name for name in modules if any(part in name for part in int8.SPARED)]
    assert len(spared) >= 4
    assert not any(modules[name] for name in spared)
    assert target.stat().st_size < made.file("step").stat().st_size


def test_a_packed_weight_is_near_the_weight(made, tmp_path):
    target = tmp_path / "decode.onnx"
    int8.weights_in_8_bits(made.file("decode"), target)
    arrays = {
        x.name: onnx.numpy_helper.to_array(x) for x in onnx.load(str(target)).graph.initializer
    }
    originals = {
        x.name: onnx.numpy_helper.to_array(x)
        for x in onnx.load(str(made.file("decode"))).graph.initializer
    }
    packed = [name for name in originals if f"{name}.int8" in arrays]
    assert packed
    for name in packed:
        scale = arrays[f"{name}.scale"].reshape(-1, *[1] * (originals[name].ndim - 1))
        error = np.abs(arrays[f"{name}.int8"] * scale - originals[name])
        assert (error <= scale / 2 + 1e-7).all()


@pytest.mark.parametrize("method", ["weights", "products"])
def test_it_is_judged_and_written(made, nano_world, nano, tmp_path, lenient, method, capsys):
    out = tmp_path / "out"
    export = quantise(made.folder, out, str(nano_world), method, frames=3, worlds=2)
    assert export.precision == "int8"
    assert Export.load(out, nano).manifest == json.loads((out / "export.json").read_text())
    assert "codes equal" in capsys.readouterr().out


def test_it_is_not_written_if_it_strays(made, nano_world, tmp_path, monkeypatch):
    monkeypatch.setattr(drift, "DRAWN", (1.0, 99.0, 1.0))
    with pytest.raises(InputError, match=r"'weights' strays too far .*nothing was written"):
        quantise(made.folder, tmp_path / "out", str(nano_world), frames=3, worlds=2)
    assert not (tmp_path / "out").exists()


def test_only_fp32_is_quantised(made, nano_world, tmp_path, lenient):
    quantise(made.folder, tmp_path / "8", str(nano_world), frames=2, worlds=1)
    with pytest.raises(InputError, match=r"is in int8; quantise an export in 'fp32'"):
        quantise(tmp_path / "8", tmp_path / "again", str(nano_world))
