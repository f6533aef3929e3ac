"""Worlds as predictors: the same frames as a replay, with actions and without."""

from pathlib import Path

import numpy as np
import pytest
import torch
from nano import SPACES, make_nano

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import CopyLast, WorldPredictor, without_actions
from worldmodel_env.imagination.rollout import replay
from worldmodel_env.imagination.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return make_nano()


@pytest.fixture(scope="module")
def predictor(world: World) -> WorldPredictor:
    return WorldPredictor(world, "torch", batch=2, precision="fp32")


def film(rows: int = 2, length: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (rows, length, 32, 32, 3)).astype(np.uint8)


ACTIONS = np.random.default_rng(1).integers(0, 3, (2, 8))
SEEDS = np.array([5, 6])


def test_equal_to_a_replay() -> None:
    world, frames = make_nano(steps=0), film()  # without chance, for noise is counted otherwise
    predictor = WorldPredictor(world, "torch", batch=2, precision="fp32")
    model = world.imagination()
    codes = model.vqgan.encode(torch.from_numpy(frames).flatten(0, 1)).unflatten(0, (2, 4))
    wanted = replay(model, codes, torch.from_numpy(ACTIONS), 5, key=5).numpy()
    found = predictor.predict(frames, ACTIONS, 5, SEEDS)
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_seeds_and_actions_decide(predictor: WorldPredictor) -> None:
    frames = film()
    first = predictor.predict(frames, ACTIONS, 5, SEEDS)
    assert np.array_equal(first, predictor.predict(frames, ACTIONS, 5, SEEDS))
    assert not np.array_equal(first, predictor.predict(frames, ACTIONS, 5, SEEDS + 9))
    assert not np.array_equal(first, predictor.predict(frames, 2 - ACTIONS, 5, SEEDS))
    turned = predictor.predict(frames[[1, 0]], ACTIONS[[1, 0]], 5, SEEDS[[1, 0]])
    assert np.array_equal(turned[::-1], first), "rows do not depend on their neighbours"


@pytest.mark.parametrize("kind", SPACES)
def test_without_actions_none_is_told(kind: str) -> None:
    world = make_nano(kind)
    embed = without_actions(world).imagination().teco.action
    space = world.action_space
    space.seed(0)
    actions = torch.tensor(np.stack([space.sample() for _ in range(6)]))
    assert torch.allclose(embed(actions), world.weights["teco.action.null"].expand(6, -1))
    found = WorldPredictor(world, "torch", batch=2, precision="fp32").predict(
        film(), None, 3, SEEDS
    )
    assert found.shape == (2, 3, 32, 32, 3)


def test_a_tokenizer_is_the_ceiling(world: World, predictor: WorldPredictor) -> None:
    frames = film(1, 5)[0]
    model = world.imagination()
    wanted = model.vqgan.decode(model.vqgan.encode(torch.from_numpy(frames))).numpy()
    found = predictor.reconstruct(frames)
    assert found.shape == frames.shape, "five frames through batches of two"
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_copying(predictor: WorldPredictor) -> None:
    frames = film()
    found = CopyLast().predict(frames, None, 3, SEEDS)
    assert all(np.array_equal(found[:, t], frames[:, -1]) for t in range(3))


def test_identity_tells_worlds_and_settings_apart(world: World, predictor: WorldPredictor) -> None:
    other = WorldPredictor(world, "torch", batch=2, precision="bf16").identity()
    assert predictor.identity() != other
    assert predictor.identity()["sampling"]["steps"] == 2


def test_data_of_another_simulator_is_refused(
    predictor: WorldPredictor, toy_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = TrajectoryDataset.open(toy_set)
    predictor.check(dataset)
    monkeypatch.setattr(dataset, "action_space", SPACES["multi"])
    with pytest.raises(InputError, match=r"has actions MultiDiscrete.* evaluate it on data of its"):
        predictor.check(dataset)
    with pytest.raises(InputError, match=r"frames of shape \(16, 32, 3\), expected \(32, 32, 3\)"):
        predictor.predict(film()[:, :, :16], ACTIONS, 2, SEEDS)
