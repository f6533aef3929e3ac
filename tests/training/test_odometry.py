"""An odometer learned from recorded poses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simulators.recorder import record
from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.imagination.world import World
from worldmodel_env.models.odometer import FREE
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.encode import encode_split
from worldmodel_env.training.odometry import _pairs, fit_odometer


def recorded(root: Path, seed: int, episodes: int) -> tuple[TrajectoryDataset, CodeStore]:
    """Walks that bump into walls."""
    kwargs = {"size": 5, "max_episode_steps": 120}
    record(
        "SimMaze-v0", root / "data", episodes=episodes, policy="sloppy", seed=seed,
        env_kwargs=kwargs,
    )  # fmt: skip
    data = TrajectoryDataset.open(root / "data")
    vqgan = World.load("maze").imagination().vqgan
    return data, encode_split(vqgan, data, "train", root / "codes", torch.float32)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Teco, TrajectoryDataset, CodeStore]:
    """The shipped world's model, its odometer untrained, and walks to train it on."""
    pytest.importorskip("vizdoom")
    data, codes = recorded(tmp_path_factory.mktemp("odometry"), seed=0, episodes=24)
    model = World.load("maze").imagination()
    for parameter in model.teco.recall.odometer.layers[-1].parameters():
        parameter.zero_()
    return model.teco, data, codes


def test_it_tells_slides_from_steps_in_the_open(
    walks: tuple[Teco, TrajectoryDataset, CodeStore], tmp_path: Path
) -> None:
    """On walks that it has not seen."""
    model, data, codes = walks
    others = {k: v.clone() for k, v in model.state_dict().items() if "odometer" not in k}
    fit_odometer(model, data, codes, seed=0)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in others.items())
    assert not any(p.requires_grad for p in model.recall.odometer.parameters())
    unseen, their_codes = recorded(tmp_path, seed=1000, episodes=8)
    before, after, true = _pairs(model.recall.motion.numpy(), unseen, their_codes, seed=1)
    with torch.no_grad():
        found = model.recall.odometer(model.vectors(before), model.vectors(after))
    slid = true.norm(dim=1) > FREE
    assert 0.1 < slid.float().mean() < 0.9
    assert (found[~slid].norm(dim=1) < FREE).float().mean() > 0.9
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


def test_episodes_without_poses_are_left_out(
    walks: tuple[Teco, TrajectoryDataset, CodeStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data, codes = walks
    motion, read, refs = model.recall.motion.numpy(), data.read, data.episodes("train")
    whole = _pairs(motion, data, codes, seed=0)
    without = refs[0].seed

    def partly(ref: EpisodeRef) -> Episode:
        return replace(read(ref), pose=None) if ref.seed == without else read(ref)

    monkeypatch.setattr(data, "read", partly)
    rest = _pairs(motion, data, codes, seed=0)
    assert 0 < len(rest[0]) < len(whole[0])
    known = {pair.numpy().tobytes() for pair in torch.cat(whole[:2], 2)}
    assert {pair.numpy().tobytes() for pair in torch.cat(rest[:2], 2)} <= known


def test_models_without_recall_stay_as_they_are(
    walks: tuple[Teco, TrajectoryDataset, CodeStore],
) -> None:
    _, data, codes = walks
    config = replace(World.load("maze").config.teco, recall=0, motion=None)
    model = Teco(config)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    fit_odometer(model, data, codes, seed=0)
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
