"""Which backend a name stands for, and what is refused."""

import sys
from dataclasses import replace

import pytest
from nano import make_nano

from worldmodel_env.errors import InputError
from worldmodel_env.imagination import backend as module
from worldmodel_env.imagination import openvino_backend
from worldmodel_env.imagination.backend import fastest, open_backend
from worldmodel_env.imagination.export import manifest
from worldmodel_env.imagination.torch_backend import TorchBackend
from worldmodel_env.imagination.world import World
from worldmodel_env.models.mixers.state import is_ring
from worldmodel_env.models.sampling import Sampling


@pytest.fixture(scope="module")
def world(nano_world):
    return World.load(nano_world)


@pytest.fixture
def empty(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def filled(monkeypatch, exported_nano):
    monkeypatch.setenv("XDG_CACHE_HOME", str(exported_nano))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"backend": "jax"}, r"backend is 'jax'; choose one of 'auto', 'torch'"),
        ({"precision": "int8"}, r"precision is 'int8'; use one of auto, fp32, bf16"),
        ({"threads": 0}, r"threads is 0; give a whole number, 1 or more"),
        ({"batch": 0}, r"batch is 0; give a whole number, 1 or more"),
        ({"batch": 1.5}, r"batch is 1.5; give"),
        ({"backend": "onnxruntime", "precision": "bf16"}, r"ONNX Runtime cannot .* use 'fp32'"),
        ({"backend": "openvino", "device": "meta"}, r"'meta', but backend 'openvino' runs on"),
        ({"backend": "onnxruntime", "sampling": Sampling(refill=3)}, r"refill is 3, but backend"),
    ],
)
def test_refused(world, filled, arguments, words):
    for package in ("onnxruntime", "openvino"):
        pytest.importorskip(package)
    with pytest.raises(InputError, match=words):
        open_backend(world, **arguments)


def test_a_processor_without_bf16(world, filled, monkeypatch):
    pytest.importorskip("openvino")

    class Core:
        def get_property(self, device, name):
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino_backend, "_core", Core)
    with pytest.raises(InputError, match=r"'bf16', which this processor does not multiply"):
        open_backend(world, "openvino", precision="bf16")
    assert openvino_backend.OpenVino(batch=1, threads=1).precision == "fp32"


@pytest.mark.parametrize(
    ("backend", "package", "extra"),
    [("openvino", "openvino", "openvino"), ("onnxruntime", "onnxruntime", "onnx")],
)
def test_a_missing_package_names_the_extra(world, filled, monkeypatch, backend, package, extra):
    openvino_backend._core.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf'needs .*{package}; pip .*"worldmodel-env\[{extra}\]"'):
        open_backend(world, backend)


def test_onnxruntime_elsewhere_than_asked(world, filled, monkeypatch):
    api = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(api.InferenceSession, "get_providers", lambda self: ["Other"])
    with pytest.raises(InputError, match=r"offers \['Other'\] instead of \['CPUExecution"):
        open_backend(world, "onnxruntime")


def test_only_torch_runs_a_world_that_is_not_on_disk(empty):
    for package in ("onnxruntime", "openvino"):
        pytest.importorskip(package)
        with pytest.raises(InputError, match="not on disk"):
            open_backend(make_nano(), package)
    assert isinstance(open_backend(make_nano(), "auto"), TorchBackend)


def test_auto_is_torch_until_there_is_an_export(world, empty):
    assert fastest(world) == "torch"
    backend = open_backend(world)
    assert (backend.name, backend.batch) == ("torch", None)


def test_auto_is_the_fastest_that_is_ready(world, filled, monkeypatch):
    installed = {"openvino", "onnxruntime"}
    monkeypatch.setattr(module, "find_spec", lambda name: name if name in installed else None)
    assert fastest(world) == "openvino"
    installed.remove("openvino")
    assert fastest(world) == "onnxruntime"
    assert fastest(world, precision="bf16") == "torch"
    installed.remove("onnxruntime")
    assert fastest(world) == "torch"


def test_auto_is_not_what_does_not_fit(world, filled, monkeypatch):
    pytest.importorskip("openvino")
    assert fastest(world) == "openvino"
    assert fastest(world, device="meta") == "torch"
    assert fastest(world, sampling=Sampling(steps=3)) == "torch"
    assert fastest(replace(world, digest="0" * 64)) == "torch"
    monkeypatch.setattr(manifest, "code_digest", lambda: "1" * 64)
    assert fastest(world) == "torch"


@pytest.mark.slow
def test_compiled(world):
    import numpy as np
    import torch

    backend = open_backend(world, "torch-compiled", batch=2, precision="fp32")
    eager = open_backend(world, "torch", precision="fp32")
    assert (backend.name, backend.batch) == ("torch-compiled", 2)
    state, key, action = eager.begin(world.starts[:2]), torch.arange(2), np.zeros(2, int)
    for _ in range(8):
        want, shown = eager.step(state, action, key)
        got, imagined = backend.step(state, action, key)
        assert torch.equal(got["codes"], want["codes"])
        for name in filter(is_ring, want):
            torch.testing.assert_close(got[name], want[name], atol=1e-4, rtol=0)
        torch.testing.assert_close(imagined.reward, shown.reward, atol=1e-4, rtol=0)
        state = want
    with pytest.raises(InputError, match="'action' has 1 rows"):
        backend.step(eager.begin(world.starts[:1]), np.zeros(1, int), torch.arange(1))
