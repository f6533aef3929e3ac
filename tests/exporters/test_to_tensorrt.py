"""Engines built ahead of time by TensorRT-RTX on a machine without a GPU; what is refused."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from exporters.to_tensorrt import summary, to_tensorrt
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export import engines as module
from worldmodel_env.imagination.export import write
from worldmodel_env.imagination.export.engine_builder import Builder, Request
from worldmodel_env.imagination.export.engines import EngineOptions, cached_engines, engine_of
from worldmodel_env.imagination.export.graphs import Functions
from worldmodel_env.imagination.export.manifest import Export
from worldmodel_env.imagination.world import World, shipped_worlds

GRAPHS = {"begin", "step", "observe", "encode", "decode"}


@pytest.fixture(scope="module")
def trt():
    return pytest.importorskip(
        "tensorrt_rtx", reason='pip install "worldmodel-env[tensorrt]" builds engines'
    )


@pytest.fixture(autouse=True)
def cache(exported_nano, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(exported_nano))


@pytest.fixture(scope="module")
def built(trt, nano_world, exported_nano, tmp_path_factory) -> Export:
    out = tmp_path_factory.mktemp("engines") / "nano"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(exported_nano))
        return to_tensorrt(
            str(nano_world), out, "fp32", batch="1,2,4", targets="sm_80,sm_86", rtx=True
        )


@pytest.fixture
def pretended(monkeypatch):
    """Engines come without TensorRT; returns the requests."""
    requests = []

    def run(request):
        requests.append(request)
        for file in request.files.values():
            Path(file).write_bytes(b"engine")
        return {"version": "1", "targets": ["sm_86"]}

    monkeypatch.setattr(module, "_run", run)
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    return requests


def request(**changes) -> Request:
    usual = Request("tensorrt_rtx", {}, (1, 1, 1), ("sm_86",), None, "fp32", None, "timings")
    return replace(usual, **changes)


def test_engines_and_what_their_manifest_says(built, made, nano, trt):
    assert set(built.manifest["graphs"]) == GRAPHS
    assert all(built.file(name).stat().st_size > 1e6 for name in GRAPHS)
    assert Export.load(built.folder, nano).manifest == json.loads(
        (built.folder / "export.json").read_text()
    )
    engine = engine_of(built)
    assert engine["package"] == "tensorrt_rtx"
    assert engine["version"] == trt.__version__
    assert (engine["targets"], engine["rows"]) == (["sm_80", "sm_86"], [1, 2, 4])
    assert engine["onnx"] == {name: made.manifest["sha256"][f"{name}.onnx"] for name in GRAPHS}
    assert (built.precision, built.batch, built.state) == ("fp32", None, made.state)
    assert len(list(built.folder.iterdir())) == len(GRAPHS) + 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which runs them")
def test_it_says_that_nothing_was_run(built):
    assert engine_of(built)["execution"] == "execution was not tested: there is no GPU here"
    assert summary(built)[-1] == "execution was not tested: there is no GPU here"
    assert not any("ms a step" in line for line in summary(built))


@pytest.mark.parametrize("name", shipped_worlds())
def test_every_graph_of_shipped_worlds_is_parsed(trt, name, tmp_path):
    world = World.load(name)
    graphs = Functions.of(world.imagination(), 2).graphs.values()
    builder = Builder(request())
    for graph in graphs:
        file = tmp_path / f"{graph.name}.onnx"
        write._write_graph(graph, file, None, write.OPSETS["fp32"])
        network, parser = builder.parse(file)
        assert parser.num_errors == 0
        outputs = [network.get_output(i) for i in range(network.num_outputs)]
        assert tuple(output.name for output in outputs) == graph.outputs
        types = {output.name: output.dtype for output in outputs}
        assert types.get("frame", trt.uint8) == trt.uint8
        assert [network.get_input(i).name for i in range(network.num_inputs)] == list(graph.inputs)


def test_a_target_that_cannot_be_built_for(trt, nano_world, tmp_path):
    with pytest.raises(InputError, match=r"'sm_90' is none that tensorrt_rtx .*sm_86, sm_89"):
        to_tensorrt(str(nano_world), tmp_path / "out", "fp32", targets="sm_86,sm_90")
    assert not (tmp_path / "out").exists()


def test_an_operator_that_it_does_not_know(trt, tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    values = [helper.make_tensor_value_info(name, kind, [2, 3]) for name in ("x", "y")]
    node = helper.make_node("Bernoulli", ["x"], ["y"], name="coin")
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph), str(tmp_path / "random.onnx"))
    with pytest.raises(InputError, match=r"cannot parse random.onnx: .*'coin', .*'Bernoulli'"):
        Builder(request()).parse(tmp_path / "random.onnx")
    assert "Bernoulli" in capsys.readouterr().err


def test_a_builder_without_memory(trt, nano_world, tmp_path, monkeypatch):
    if shutil.which("prlimit") is None:
        pytest.skip("no prlimit here (util-linux)")
    # Enough to load the library, too little to begin; with more its threads may wait for ever for
    # those that could not start.
    monkeypatch.setattr(module, "BUILDER", ("prlimit", "--as=400000000", *module.BUILDER))
    with pytest.raises(InputError, match=r"memory.*--batch"):
        to_tensorrt(str(nano_world), tmp_path / "out", "fp32", targets="sm_86")
    assert not (tmp_path / "out").exists()


def test_a_killed_builder_leaves_nothing(nano_world, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: name)
    kill = "import os, signal, sys; sys.stdin.read(); os.kill(os.getpid(), signal.SIGKILL)"
    monkeypatch.setattr(module, "BUILDER", (sys.executable, "-c", kill))
    with pytest.raises(InputError, match=r"ended with SIGKILL, most likely for lack of memory"):
        to_tensorrt(str(nano_world), tmp_path / "out", "fp32")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"precision": "int8"}, r"precision is 'int8'; build engines in fp32, fp16, bf16"),
        ({"batch": "4,2,8"}, r"batch is '4,2,8'; give min,opt,max"),
        ({"batch": "many"}, r"batch is 'many'; give min,opt,max"),
        ({"batch": "0,1,2"}, r"batch is '0,1,2'; give"),
        ({"targets": "ampere"}, r"target 'ampere' is no GPU's; give some such as sm_80,sm_86"),
        ({"workspace": 0.0}, r"workspace is 0.0; give a number of GiB"),
    ],
)
def test_refused(pretended, nano_world, tmp_path, arguments, words):
    with pytest.raises(InputError, match=words):
        to_tensorrt(str(nano_world), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_without_tensorrt(nano_world, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'not installed; pip .*"worldmodel-env\[tensorrt\]"'):
        to_tensorrt(str(nano_world), tmp_path / "out")


def test_full_tensorrt_is_preferred(pretended, nano_world, tmp_path):
    to_tensorrt(str(nano_world), tmp_path / "full", "fp32")
    to_tensorrt(str(nano_world), tmp_path / "rtx", "fp32", rtx=True, workspace=0.5)
    assert [asked.package for asked in pretended] == ["tensorrt", "tensorrt_rtx"]
    assert [asked.workspace for asked in pretended] == [None, 1 << 29]


def test_an_export_to_onnx_is_not_replaced(pretended, nano_world, copied):
    with pytest.raises(InputError, match=r"holds an export to ONNX; choose another folder"):
        to_tensorrt(str(nano_world), copied, "fp32")
    assert (copied / "step.onnx").exists()


def test_the_cache_builds_once(pretended, nano, monkeypatch, tmp_path, exported_nano):
    options = EngineOptions(nano.config.sampling, "fp32", (2, 2, 2))
    first = cached_engines(nano, options)
    assert cached_engines(nano, options) == first
    assert (len(pretended), first.batch) == (1, 2)
    first.file("step").write_bytes(b"other")
    cached_engines(nano, options)
    assert len(pretended) == 2
    shutil.rmtree(first.folder)
