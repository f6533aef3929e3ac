"""Frames to code grids: the codes, the time convention, and when they are made anew."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.presets import load_preset
from worldmodel_env.training import encode
from worldmodel_env.training.encode import encode_split, weights_hash


@pytest.fixture(scope="module")
def dataset(toy_set: Path) -> TrajectoryDataset:
    return TrajectoryDataset.open(toy_set)


def build(seed: int = 0) -> Vqgan:
    torch.manual_seed(seed)
    return Vqgan(load_preset("nano").vqgan)


def test_codes_actions_and_rewards_are_those_of_the_episodes(
    dataset: TrajectoryDataset, tmp_path: Path
) -> None:
    model = build()
    store = encode_split(model, dataset, "train", tmp_path, torch.float32)
    refs = dataset.episodes("train")
    assert len(store.starts) == len(refs) + 1
    for ref, first, end in zip(refs, store.starts, store.starts[1:], strict=False):
        episode = dataset.read(ref)
        with torch.no_grad():
            codes = model.encode(torch.from_numpy(episode.observations)).numpy()
        assert np.array_equal(store.codes[first:end], codes)
        last = end - 1
        assert np.array_equal(store.actions[first:last], episode.actions)
        assert np.array_equal(store.rewards[first:last], episode.rewards)
        assert np.array_equal(store.terminations[first:last], episode.terminations)
        assert store.actions[last] == store.rewards[last] == store.terminations[last] == 0
    assert store.starts[-1] == len(store.codes) == len(store.actions) == len(store.rewards)
    assert store.rewards.sum() > 0  # the toy's wall pays, so the check above saw rewards


def test_codes_are_made_once_per_data_and_tokenizer(
    dataset: TrajectoryDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = encode_split(build(), dataset, "validation", tmp_path, torch.float32)
    other = encode_split(build(seed=1), dataset, "validation", tmp_path, torch.float32)
    assert first.key["tokenizer"] != other.key["tokenizer"]
    assert not np.array_equal(first.codes, other.codes)

    def never(*args: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(encode.Vqgan, "encode", never)
    again = encode_split(build(seed=1), dataset, "validation", tmp_path, torch.float32)
    assert np.array_equal(again.codes, other.codes)
    with pytest.raises(AssertionError, match="encoded again"):
        encode_split(build(seed=1), dataset, "validation", tmp_path, torch.bfloat16)


def test_of_a_set_that_has_grown_only_what_is_new_is_encoded(
    dataset: TrajectoryDataset, tmp_path: Path
) -> None:
    small = tmp_path / "set"
    shutil.copytree(dataset.root, small)
    for path in sorted((small / "data" / "episodes").glob("train-*"))[1::3]:
        path.unlink()
    before = TrajectoryDataset.open(small)
    encode_split(build(), before, "train", tmp_path / "codes", torch.float32)

    model, encoded = build(), []
    encode_one = model.encode
    model.encode = lambda frames: encoded.append(frames.numpy()) or encode_one(frames)  # type: ignore
    store = encode_split(model, dataset, "train", tmp_path / "codes", torch.float32)
    had = {ref.seed for ref in before.episodes("train")}
    new = [ref for ref in dataset.episodes("train") if ref.seed not in had]
    assert 0 < len(encoded) == len(new) < len(had)
    for ref, frames in zip(new, encoded, strict=True):
        assert np.array_equal(dataset.read(ref).observations, frames)
    whole = encode_split(build(), dataset, "train", tmp_path / "again", torch.float32)
    for name in ("codes", "actions", "rewards", "terminations", "starts", "episodes"):
        assert np.array_equal(getattr(store, name), getattr(whole, name))

    encoded.clear()
    other = build(seed=1)
    other.encode = model.encode  # type: ignore[method-assign]
    encode_split(other, before, "train", tmp_path / "codes", torch.float32)
    assert len(encoded) == len(had)  # another tokenizer's codes are of no use


def test_an_empty_split_is_refused(tmp_path: Path, toy_set: Path) -> None:
    source, target = toy_set / "data" / "episodes", tmp_path / "set" / "data" / "episodes"
    target.mkdir(parents=True)
    for path in source.glob("train-*"):
        (target / path.name).write_bytes(path.read_bytes())
    dataset = TrajectoryDataset.open(tmp_path / "set")
    with pytest.raises(InputError, match="has no validation episodes"):
        encode_split(build(), dataset, "validation", tmp_path / "codes", torch.float32)


def test_the_hash_follows_the_weights() -> None:
    model = build()
    before = weights_hash(model)
    assert weights_hash(build()) == before
    with torch.no_grad():
        model.codebook.weight[3, 0] += 1e-3
    assert weights_hash(model) != before


def test_encoding_that_was_killed_goes_on_with_the_episode_in_progress(
    dataset: TrajectoryDataset, tmp_path: Path
) -> None:
    arguments = (dataset.root, tmp_path / "codes", 5)
    process = multiprocessing.get_context("forkserver").Process(target=_killed, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [p.name for p in (tmp_path / "codes").iterdir()] == [".train.safetensors.partial"]

    model, encoded = build(), []
    encode_one = model.encode
    model.encode = lambda frames: encoded.append(len(frames)) or encode_one(frames)  # type: ignore
    store = encode_split(model, dataset, "train", tmp_path / "codes", torch.float32)
    assert encoded == [ref.total_steps + 1 for ref in dataset.episodes("train")][5:]
    whole = encode_split(build(), dataset, "train", tmp_path / "again", torch.float32)
    for name in ("codes", "actions", "rewards", "terminations", "starts"):
        assert np.array_equal(getattr(store, name), getattr(whole, name))
    assert [p.name for p in (tmp_path / "codes").iterdir()] == ["train.safetensors"]


def _killed(root: Path, folder: Path, after: int) -> None:
    """Encode with the tests' tokenizer until `after` episodes are there, then be killed."""
    torch.set_num_threads(1)
    model, dataset = build(), TrajectoryDataset.open(root)
    encode_one, calls = model.encode, iter(range(after))

    def encode(frames: torch.Tensor) -> torch.Tensor:
        if next(calls, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return encode_one(frames)

    model.encode = encode  # type: ignore[method-assign]
    encode_split(model, dataset, "train", folder, torch.float32)
