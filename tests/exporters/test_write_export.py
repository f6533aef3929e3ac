"""Writing an export: all of it, or nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exporters.to_onnx import main, to_onnx
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export import parity, write
from worldmodel_env.imagination.export.manifest import MANIFEST, Export, Options
from worldmodel_env.imagination.export.widen import widen
from worldmodel_env.imagination.export.write import write_export
from worldmodel_env.models.sampling import Sampling


def test_it_is_checked_and_put_in_place(quick, nano, options, tmp_path):
    export = write_export(nano, tmp_path / "new" / "folder", options)
    assert Export.load(export.folder, nano, options).manifest == json.loads(
        (export.folder / MANIFEST).read_text()
    )
    assert len(list(export.folder.iterdir())) == 6


def interrupted(graphs: int, error: BaseException, monkeypatch):
    """Exporting fails after some graphs."""
    copy_graph, written = write._write_graph, []

    def fail_late(graph, file, batch, opset):
        if len(written) == graphs:
            raise error
        written.append(graph.name)
        copy_graph(graph, file, batch, opset)

    monkeypatch.setattr(write, "_write_graph", fail_late)


def test_interrupted_it_leaves_nothing(quick, nano, options, tmp_path, monkeypatch):
    interrupted(3, KeyboardInterrupt(), monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        write_export(nano, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_on_a_full_disk_the_old_export_stays(quick, copied, nano, options, monkeypatch):
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    interrupted(2, OSError(28, "No space left on device"), monkeypatch)
    with pytest.raises(InputError, match=r"cannot write the export to .*No space left"):
        write_export(nano, copied, options)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


KILLED = """
import os, shutil, signal, sys
from worldmodel_env.imagination.export import write
from worldmodel_env.imagination.export.manifest import Options
from worldmodel_env.imagination.world import World

world, made, out = sys.argv[1:]

def copy_graph(graph, file, batch, opset):
    if graph.name == "encode":
        os.kill(os.getpid(), signal.SIGKILL)
    shutil.copy(f"{made}/{file.name}", file)

write._write_graph = copy_graph
world = World.load(world)
write.write_export(world, out, Options(world.config.sampling))
"""


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_killed_it_leaves_no_export(made, nano_world, nano, tmp_path):
    command = [sys.executable, "-c", KILLED, str(nano_world), str(made.folder), str(tmp_path)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
    with pytest.raises(InputError, match="holds no export"):
        Export.load(tmp_path, nano)


def test_what_differs_from_the_model_is_not_written(quick, nano, options, tmp_path, monkeypatch):
    monkeypatch.setitem(parity.LIMITS, "fp32", (0.999, 1e-12))
    with pytest.raises(InputError, match=r"fp32 export differs from the model \(codes 1"):
        write_export(nano, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_a_graph_of_other_weights_is_noticed(quick, options, tmp_path):
    from nano import make_nano

    from worldmodel_env.imagination.world import World

    other = World.load(make_nano(seed=1).save(tmp_path / "other"))
    with pytest.raises(InputError, match="differs from the model"):
        write_export(other, tmp_path / "out", options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(Sampling(), "int8"), r"precision is 'int8'; export 'fp32', 'fp16', 'bf16'"),
        (Options(Sampling(), "fp32", 0), r"batch is 0; give 1 to"),
        (Options(Sampling(), "fp32", 1 << 20), r"batch is 1048576; give 1 to"),
    ],
)
def test_bad_options(nano, tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        write_export(nano, tmp_path / "out", options)
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_named(nano, options, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(InputError, match=r'needs onnxscript; pip install "worldmodel-env\[onnx\]"'):
        write_export(nano, tmp_path / "out", options)


def test_a_folder_that_is_a_file(quick, nano, options, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the export to .*file"):
        write_export(nano, tmp_path / "file", options)


def test_command_line(quick, nano_world, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    arguments = ["to_onnx.py", "--world", str(nano_world), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", arguments)
    main()
    assert (out / "step.onnx").is_file()
    assert "step.onnx" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*arguments, "--batch", "many"])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    assert "batch is 'many'; give a number of rows, or 'dynamic'" in capsys.readouterr().err


def test_a_copy_of_bf16_in_float32(tmp_path):
    """Weights, casts and the inside of loops become float32; what is computed stays."""
    onnx = pytest.importorskip("onnx")
    ort = pytest.importorskip("onnxruntime")
    h, kinds = onnx.helper, onnx.TensorProto
    weight = h.make_tensor("w", kinds.BFLOAT16, [2], [1.5, -3.0])
    info = h.make_tensor_value_info
    body = h.make_graph(
        [
            h.make_node("Add", ["x_in", "w"], ["x_out"]),
            h.make_node("Identity", ["more"], ["again"]),
        ],
        "body",
        [
            info("i", kinds.INT64, []),
            info("more", kinds.BOOL, []),
            info("x_in", kinds.BFLOAT16, [2]),
        ],
        [info("again", kinds.BOOL, []), info("x_out", kinds.BFLOAT16, [2])],
    )
    nodes = [
        h.make_node("Cast", ["x"], ["narrow"], to=kinds.BFLOAT16),
        h.make_node("Loop", ["count", "", "narrow"], ["y"], body=body),
    ]
    graph = h.make_graph(
        nodes,
        "graph",
        [info("x", kinds.FLOAT, [2])],
        [info("y", kinds.BFLOAT16, [2])],
        [weight, h.make_tensor("count", kinds.INT64, [], [3])],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, str(tmp_path / "narrow.onnx"))
    widen(tmp_path / "narrow.onnx", tmp_path / "wide.onnx")
    session = ort.InferenceSession(str(tmp_path / "wide.onnx"), providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {"x": np.float32([1.001, 2])})
    np.testing.assert_array_equal(result, np.float32([1.001 + 4.5, -7.0]))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_one_size(nano, tmp_path, precision):
    """For one number of rows, and in half precision; to_onnx checks parity itself."""
    folder = nano.save(tmp_path / "world")
    export = to_onnx(str(folder), Path(tmp_path / "out"), batch="3", precision=precision, steps=0)
    step = export.manifest["graphs"]["step"]
    assert all(x["shape"][0] == 3 for x in step["inputs"] + step["outputs"])
    assert "noise" not in {x["name"] for x in step["inputs"]}
    state = {x["name"]: x["dtype"] for x in step["inputs"]}
    formats = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
    assert state["keys_0"] == formats[precision]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["multi", "box"])
@pytest.mark.parametrize(
    "sampling", [Sampling(3, order="random", revisions=1), Sampling(4, share=0.5, top_k=3)]
)
def test_other_actions_and_samplings(tmp_path, kind, sampling):
    from nano import make_nano

    from worldmodel_env.imagination.world import World

    world = World.load(make_nano(kind).save(tmp_path / "world"))
    export = write_export(world, tmp_path / "out", Options(sampling))
    assert export.noise_shape("step") == (sampling.passes + sampling.sparing, 2, 16)
