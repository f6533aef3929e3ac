"""Put a run's two checkpoints together into a world."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodel_env.config import from_json
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.step import Sampling
from worldmodel_env.imagination.world import World, WorldConfig
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.training import teco as teco_stage
from worldmodel_env.training import vqgan as vqgan_stage
from worldmodel_env.training.begin_with import identity
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.distributed import process_count
from worldmodel_env.training.encode import weights_hash

DEFAULT_SAMPLING = Sampling()
BEGINNINGS = ("begun_with", "new_parameters", "self_forcing")


def save_world(
    out: Path,
    data: Path,
    *,
    name: str,
    preset: str,
    sampling: Sampling = DEFAULT_SAMPLING,
    stage: str = teco_stage.STAGE,
    begun_with: World | None = None,
    skip_corrupt: bool = False,
) -> Path:
    """Write OUT/world from OUT/vqgan and OUT/teco, or another stage that trains a world model.

    Imagined episodes start from the first frames of the data set's validation episodes, which no
    stage was trained on.

    Args:
        out: the run's folder.
        data: the data set that it was trained on.
        name: what to call the world.
        preset: where its configuration came from; a comment.
        sampling: how the world draws frames unless asked otherwise.
        stage: whose world model.
        begun_with: the world that the training began with, whose own trainings are told first.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The world's folder.

    Raises:
        InputError: a stage is missing, or the data set has no validation episodes.
    """
    vqgan = Checkpoint.open(out / vqgan_stage.STAGE)
    teco = Checkpoint.open(out / stage)
    tokenizer_weights = vqgan.weights()
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    config = WorldConfig(
        vqgan=from_json(VqganConfig, vqgan.config, "vqgan"),
        teco=from_json(TecoConfig, teco.config, "teco"),
        sampling=sampling,
        max_episode_steps=max(ref.total_steps for ref in dataset.episodes()),
    )
    tokenizer = Vqgan(config.vqgan)
    tokenizer.load_state_dict(tokenizer_weights)
    if teco.counters["tokenizer"] != weights_hash(tokenizer):
        raise InputError(
            f"{out / vqgan_stage.STAGE} was trained on since {out / stage} learned its "
            "codes; train the world model again, in another --out."
        )
    train = dataset.episodes("train")
    provenance = {
        "preset": preset,
        "simulators": dataset.metadata["simulators"],
        "data_sha256": dataset.data_hash("train"),
        "train_episodes": len(train),
        "train_frames": sum(ref.total_steps + 1 for ref in train),
        **{f"tokenizer_{k}": round(vqgan.counters[k]) for k in ("step", "seconds", "seed")},
        **{f"world_model_{k}": round(teco.counters[k]) for k in ("step", "seconds", "seed")},
        **{k: v for k in BEGINNINGS if (v := teco.counters.get(k))},
        **_earlier(begun_with),
        "hardware": f"{platform.machine()}, {process_count()} x {torch.get_num_threads()} threads"
        + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""),
        "versions": {p: version(p) for p in ("worldmodel-env", "torch", "numpy")},
    }
    world = World(
        name=name,
        config=config,
        action_space=dataset.action_space,
        weights={f"vqgan.{k}": v for k, v in tokenizer_weights.items()}
        | {f"teco.{k}": v for k, v in teco.weights().items()},
        starts=_starts(dataset, tokenizer),
        provenance=provenance,
    )
    return world.save(out / "world")


def _earlier(world: World | None) -> dict[str, Any]:
    """The trainings before this one and their data, in order, by the world they led to."""
    if world is None:
        return {}
    past = world.provenance
    names = {k: f"world_model_{k}" for k in ("step", "seconds")}
    names |= {k: k for k in ("data_sha256", "train_frames")}
    last = {short: past[name] for short, name in names.items() if name in past}
    return {"earlier_trainings": {**past.get("earlier_trainings", {}), identity(world): last}}


@torch.no_grad()
def _starts(dataset: TrajectoryDataset, tokenizer: Vqgan) -> NDArray[np.uint16]:
    refs = dataset.episodes("validation")
    if not refs:
        raise InputError(
            f"{dataset.root} has no validation episodes, from whose first frames imagination "
            "starts; record some with `worldmodel record --validation N`."
        )
    frames = np.concatenate([dataset.read(ref, 0, 1).observations for ref in refs])
    grids = [tokenizer.encode(chunk) for chunk in torch.from_numpy(frames).split(64)]
    return torch.cat(grids).numpy().astype(np.uint16)
