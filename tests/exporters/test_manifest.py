"""What an export says of itself, and when it is refused."""

import json
from dataclasses import replace

import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.export import manifest
from worldmodel_env.imagination.export.manifest import MANIFEST, Export, Options
from worldmodel_env.models.mixers.state import ring_names
from worldmodel_env.models.sampling import Sampling


def test_it_names_inputs_and_outputs(made, nano):
    teco = nano.config.teco
    ring = ["batch", teco.temporal.heads, teco.temporal.window, 4, 16]
    rings = [name for layer in range(teco.temporal.layers) for name in ring_names(layer)]
    step = made.manifest["graphs"]["step"]
    assert step["inputs"] == [
        *({"name": name, "dtype": "float32", "shape": ring} for name in rings),
        {"name": "index", "dtype": "int64", "shape": ["batch"]},
        {"name": "latent", "dtype": "float32", "shape": ["batch", 16, 4, 4]},
        {"name": "codes", "dtype": "int64", "shape": ["batch", 8, 8]},
        {"name": "action", "dtype": "int64", "shape": ["batch"]},
        {"name": "noise", "dtype": "float32", "shape": ["batch", 2, 2, 16]},
    ]
    state = [x for x in step["inputs"] if x["name"] not in ("action", "noise")]
    assert step["outputs"][: len(state)] == [{**x, "name": f"next_{x['name']}"} for x in state]
    assert step["outputs"][len(state) :] == [
        {"name": "frame", "dtype": "uint8", "shape": ["batch", 32, 32, 3]},
        {"name": "reward", "dtype": "float32", "shape": ["batch"]},
        {"name": "termination", "dtype": "float32", "shape": ["batch"]},
        {"name": "surprise", "dtype": "float32", "shape": ["batch"]},
    ]
    assert made.state == (*rings, "index", "latent", "codes")
    assert made.noise_shape("step") == (2, 2, 16)
    assert made.noise_shape("begin") is None
    assert set(made.manifest["graphs"]) == {"begin", "step", "observe", "encode", "decode"}
    assert (made.batch, made.precision, made.sampling) == (None, "fp32", nano.config.sampling)


def test_it_vouches_for_the_files_and_where_they_come_from(made, nano):
    assert set(made.manifest["sha256"]) == {f"{graph}.onnx" for graph in made.manifest["graphs"]}
    assert made.manifest["origin"]["world"] == nano.digest
    assert "torch" in made.manifest["written_by"]
    assert made.manifest["parity"]["codes"] >= 0.999
    assert made.manifest["parity"]["cache"] < 1e-4


@pytest.mark.parametrize("name", ["begin", "step", "observe", "encode", "decode"])
def test_the_files_are_sound(made, name):
    onnx = pytest.importorskip("onnx")
    file = str(made.file(name))
    onnx.checker.check_model(file, full_check=True)
    assert [o.version for o in onnx.load(file).opset_import if o.domain == ""] == [20]


def test_a_changed_world_makes_it_stale(copied, nano):
    with pytest.raises(InputError, match=r"copy is stale: .* another world .*again"):
        Export.load(copied, replace(nano, digest="0" * 64))


def test_changed_code_makes_it_stale(copied, nano, monkeypatch):
    monkeypatch.setattr(manifest, "code_digest", lambda: "1" * 64)
    with pytest.raises(InputError, match=r"stale: .* another code"):
        Export.load(copied, nano)


def test_another_version_makes_it_stale(copied, nano, monkeypatch):
    monkeypatch.setattr(manifest, "__version__", "99.0")
    with pytest.raises(InputError, match=r"stale: .* another worldmodel-env \(.*, now 99.0\)"):
        Export.load(copied, nano)


def test_other_options_are_refused(copied, nano):
    with pytest.raises(InputError, match=r"exported with .*'steps': 2.*, not .*'steps': 5"):
        Export.load(copied, nano, Options(Sampling(steps=5)))


@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_damaged_files_are_named(copied, nano, change):
    file = copied / "observe.onnx"
    content = file.read_bytes()
    if change == "flip":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif change == "cut":
        file.write_bytes(content[: len(content) // 2])
    else:
        file.unlink()
    with pytest.raises(InputError, match=r"observe.onnx is damaged or missing; export it again"):
        Export.load(copied, nano)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b'{"schema_version": 1, "na', b"\xff"])
def test_damaged_manifests(copied, nano, content):
    (copied / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=r"export.json is damaged"):
        Export.load(copied, nano)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("sha256"), "damaged.*sha256"),
        (lambda m: m.update(sha256={}), "damaged.*no files"),
        (lambda m: m["origin"].pop("code"), "damaged.*code"),
        (lambda m: m.update(schema_version=2), "schema version 2"),
    ],
)
def test_manifests_that_lack_something(copied, nano, change, words):
    content = json.loads((copied / MANIFEST).read_text())
    change(content)
    (copied / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        Export.load(copied, nano)


def test_no_export(nano, tmp_path):
    with pytest.raises(InputError, match=r"holds no export, export.json is missing"):
        Export.load(tmp_path, nano)
