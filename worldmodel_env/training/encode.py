"""Turn a data set's frames into codes once, so that the world trains without the tokenizer."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from worldmodel_env.data.codes import CodeStore, CodeWriter
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.models.vqgan import Vqgan, VqganConfig
from worldmodel_env.precision import Precision, autocast, resolve_device, resolve_dtype
from worldmodel_env.training import vqgan as vqgan_stage
from worldmodel_env.training.checkpoint import Checkpoint
from worldmodel_env.training.spaces import check_frames

CHUNK = 128  # frames


def encode_run(
    config: VqganConfig,
    data: Path,
    out: Path,
    *,
    device: str = "auto",
    precision: Precision = "auto",
    skip_corrupt: bool = False,
) -> dict[str, CodeStore]:
    """Encode a data set with the tokenizer of a run, as `train_teco` would before its first step.

    Args:
        config: of the tokenizer.
        data: a recorded data set with train and validation episodes.
        out: the run's folder; codes go to its `codes`.
        device: "auto", "cpu", "cuda", ...
        precision: of the matrix work.
        skip_corrupt: leave out episode files that cannot be read, instead of refusing.

    Returns:
        The codes of both splits.

    Raises:
        InputError: unusable data, no tokenizer, or no room for the codes.
    """
    dataset = TrajectoryDataset.open(data, skip_corrupt)
    check_frames(config, dataset)
    place = resolve_device(device)
    tokenizer = load_tokenizer(out, config).to(place)
    return encode_sets(tokenizer, dataset, out / "codes", resolve_dtype(precision, place))


def load_tokenizer(out: Path, config: VqganConfig) -> Vqgan:
    """The tokenizer that was trained in the run `out`, frozen.

    Raises:
        InputError: there is none, or it is of another configuration.
    """
    tokenizer = Vqgan(config)
    checkpoint = Checkpoint.open(out / vqgan_stage.STAGE)
    checkpoint.restore({"model": tokenizer}, config=config)
    return tokenizer.eval().requires_grad_(False)


def encode_sets(
    model: Vqgan, dataset: TrajectoryDataset, folder: Path, dtype: torch.dtype
) -> dict[str, CodeStore]:
    """The codes of the training and the validation episodes; see `encode_split`."""
    splits = ("train", "validation")
    return {split: encode_split(model, dataset, split, folder, dtype) for split in splits}


@torch.no_grad()
def encode_split(
    model: Vqgan, dataset: TrajectoryDataset, split: str, folder: Path, dtype: torch.dtype
) -> CodeStore:
    """The codes of a split, from `folder` if they were made by this tokenizer from these frames.

    Killed at any moment, it goes on with the episode that was in progress. Where the data set has
    grown, only what is new is encoded.

    Args:
        model: the tokenizer.
        dataset: where the frames are.
        split: which episodes.
        folder: of the code files, one per split.
        dtype: of the matrix work.

    Raises:
        InputError: the split is empty, or there is no room.
    """
    episodes = dataset.episodes(split)
    if not episodes:
        raise InputError(f"{dataset.root} has no {split} episodes; record some.")
    made_by = {"tokenizer": weights_hash(model), "dtype": str(dtype)}
    key = {"data": dataset.data_hash(split), **made_by}
    path = folder / f"{split}.safetensors"
    if (store := CodeStore.load(path, key)) is not None:
        return store
    place = next(model.parameters()).device
    starts = np.cumsum([0] + [ref.total_steps + 1 for ref in episodes])
    actions = dataset.actions(episodes[0])
    # Hashed again, for what a file says of itself may be anything.
    hashes = [hashlib.sha256(ref.row.sha256.encode()).digest() for ref in episodes]
    writer = CodeWriter(
        path, key, starts, model.cfg.grid, (actions.shape[1:], actions.dtype),
        np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32),
    )  # fmt: skip
    if earlier := CodeStore.load(path, made_by):
        known = {row.tobytes(): number for number, row in enumerate(earlier.episodes)}
        for number in writer.missing:
            if hashes[number] in known:
                writer.put(number, **earlier.columns(known[hashes[number]]))
    missing = writer.missing
    done = len(episodes) - len(missing)
    bar = tqdm(missing, f"encode {split}", len(episodes), initial=done, disable=None)
    for number in bar:
        episode = dataset.read(episodes[number])
        grids = []
        for chunk in torch.from_numpy(episode.observations).split(CHUNK):
            with autocast(place, dtype):
                grids.append(model.encode(chunk.to(place)).cpu().numpy().astype(np.uint16))
        writer.put(
            number,
            codes=np.concatenate(grids),
            actions=episode.actions,
            rewards=episode.rewards,
            terminations=episode.terminations,
        )
    return writer.finish()


def weights_hash(model: torch.nn.Module) -> str:
    """sha256 of a model's tensors, by name."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
