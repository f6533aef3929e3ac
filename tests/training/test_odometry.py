"""An odometer learned from recorded poses."""

from dataclasses import replace

import pytest
import torch

from simulators.recorder import record
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.imagination.world import World
from worldmodel_env.models.odometer import FREE
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.encode import encode_split
from worldmodel_env.training.odometry import _pairs, fit_odometer


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Teco, TrajectoryDataset, CodeStore]:
    """The shipped world's model, its odometer untrained, and walks that bump into walls."""
    pytest.importorskip("vizdoom")
    root = tmp_path_factory.mktemp("odometry")
    kwargs = {"size": 5, "max_episode_steps": 120}
    record("SimMaze-v0", root / "data", episodes=24, policy="sloppy", env_kwargs=kwargs)
    data = TrajectoryDataset.open(root / "data")
    model = World.load("maze").imagination()
    codes = encode_split(model.vqgan, data, "train", root / "codes", torch.float32)
    for parameter in model.teco.recall.odometer.layers[-1].parameters():
        parameter.zero_()
    return model.teco, data, codes


def test_it_tells_slides_from_steps_in_the_open(
    walks: tuple[Teco, TrajectoryDataset, CodeStore],
) -> None:
    model, data, codes = walks
    others = {k: v.clone() for k, v in model.state_dict().items() if "odometer" not in k}
    fit_odometer(model, data, codes, seed=0)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in others.items())
    assert not any(p.requires_grad for p in model.recall.odometer.parameters())
    before, after, true = _pairs(model.recall.motion.numpy(), data, codes, seed=1)
    with torch.no_grad():
        found = model.recall.odometer(model.vectors(before), model.vectors(after))
    slid = true.norm(dim=1) > FREE
    assert 0.1 < slid.float().mean() < 0.9
    assert (found[~slid].norm(dim=1) < FREE).float().mean() > 0.95
    assert (found[slid].norm(dim=1) > FREE).float().mean() > 0.9
    assert (found - true)[slid].norm(dim=1).median() < 0.1


def test_the_same_seed_the_same_odometer(
    walks: tuple[Teco, TrajectoryDataset, CodeStore],
) -> None:
    _, data, codes = walks
    learned = []
    for seed in (0, 0, 1):
        model = World.load("maze").imagination().teco
        for parameter in model.recall.odometer.layers[-1].parameters():
            parameter.zero_()
        fit_odometer(model, data, codes, seed)
        learned.append(model.recall.odometer.layers[-1].weight)
    assert torch.equal(learned[0], learned[1])
    assert not torch.equal(learned[0], learned[2])


def test_without_poses_nothing_is_learned(
    walks: tuple[Teco, TrajectoryDataset, CodeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data, codes = walks
    read = data.read
    monkeypatch.setattr(data, "read", lambda ref: replace(read(ref), pose=None))
    assert _pairs(model.recall.motion.numpy(), data, codes, seed=0) is None
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    fit_odometer(model, data, codes, seed=0)
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())


def test_models_without_recall_stay_as_they_are(
    walks: tuple[Teco, TrajectoryDataset, CodeStore],
) -> None:
    _, data, codes = walks
    config = replace(World.load("maze").config.teco, recall=0, motion=None)
    model = Teco(config)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    fit_odometer(model, data, codes, seed=0)
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
