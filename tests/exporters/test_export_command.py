"""`worldmodel export`, and that the demo exports the shipped world once."""

import json

import pytest

from benchmarks import batched
from worldmodel_env import demo
from worldmodel_env.cli import main
from worldmodel_env.imagination.export import write
from worldmodel_env.imagination.world import World


def test_to_onnx(quick, nano_world, tmp_path, capsys):
    main(["export", "--world", str(nano_world), "--out", str(tmp_path / "out")])
    assert "step.onnx" in capsys.readouterr().out
    assert (tmp_path / "out" / "export.json").is_file()


@pytest.mark.parametrize("option", [["--precision", "fp16"], ["--batch", "2"]])
def test_options_that_a_page_has_not(nano_world, tmp_path, capsys, option):
    out = tmp_path / "site"
    words = ["export", "--world", str(nano_world), "--format", "web", "--out", str(out)]
    with pytest.raises(SystemExit) as end:
        main([*words, *option])
    assert end.value.code == 2
    assert f"error: {option[0]} is for ONNX and TensorRT" in capsys.readouterr().err
    assert not out.exists()


def test_the_demo_exports_once_and_says_what_runs(quick, nano, monkeypatch, tmp_path, capsys):
    pytest.importorskip("openvino")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(World, "load", lambda name: nano)
    assert demo.export_shipped() == "exported; backend: openvino"
    capsys.readouterr()
    assert demo.export_shipped() == "exported; backend: openvino"
    assert capsys.readouterr().err == ""


def test_the_demo_goes_on_without_runtimes(nano, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(World, "load", lambda name: nano)
    monkeypatch.setattr(write, "find_spec", lambda name: None)
    said = demo.export_shipped()
    assert said.startswith("not exported: exporting needs onnx, onnxscript, onnxruntime; pip")
    assert said.endswith("Backend: torch.")


def test_the_batched_benchmark_runs_on_a_cpu(nano_world, tmp_path, capsys):
    out = tmp_path / "batched.json"
    batched.main(
        str(nano_world), (1, 2), backend="torch", precision="fp32", device="cpu", steps=2, out=out
    )
    results = json.loads(out.read_text())["results"]
    assert results["2 worlds, frames/s"] > 0
    assert results["1 world, state, MB a world"] == results["2 worlds, state, MB a world"]
