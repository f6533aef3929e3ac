"""Turn a data set's frames into codes once, so that the world trains without the tokenizer."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from worldmodel_env.data.codes import CodeStore
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.precision import autocast


@torch.no_grad()
def encode_split(
    model: Vqgan, dataset: TrajectoryDataset, split: str, folder: Path, dtype: torch.dtype
) -> CodeStore:
    """The codes of a split, from `folder` if they were made by this tokenizer from these frames.

    Raises:
        InputError: the split is empty.
    """
    episodes = dataset.episodes(split)
    if not episodes:
        raise InputError(f"{dataset.root} has no {split} episodes; record some.")
    key = {"data": dataset.data_hash(split), "tokenizer": weights_hash(model), "dtype": str(dtype)}
    path = folder / f"{split}.safetensors"
    if (store := CodeStore.load(path, key)) is not None:
        return store
    place = next(model.parameters()).device
    codes, actions, rewards, terminations = [], [], [], []
    for ref in tqdm(episodes, desc=f"encode {split}", unit="episode", disable=None):
        episode = dataset.read(ref)
        for chunk in np.array_split(episode.observations, -(-len(episode.observations) // 128)):
            with autocast(place, dtype):
                grid = model.encode(torch.from_numpy(chunk).to(place))
            codes.append(grid.cpu().numpy().astype(np.uint16))
        after_last = np.zeros((1, *episode.actions.shape[1:]), episode.actions.dtype)
        actions.append(np.concatenate([episode.actions, after_last]))
        rewards.append(np.append(episode.rewards, 0).astype(np.float32))
        terminations.append(np.append(episode.terminations, False))
    store = CodeStore(
        codes=np.concatenate(codes),
        actions=np.concatenate(actions),
        rewards=np.concatenate(rewards),
        terminations=np.concatenate(terminations),
        starts=np.cumsum([0] + [ref.total_steps + 1 for ref in episodes]),
        key=key,
    )
    store.save(path)
    return store


def weights_hash(model: torch.nn.Module) -> str:
    """sha256 of a model's tensors, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
