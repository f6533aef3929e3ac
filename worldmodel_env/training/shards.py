"""A sharded checkpoint: a folder of safetensors files, each process having written its share.

torch's distributed checkpoint does the work, in its safetensors form, which has no pickles.
"""

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import Tensor
from torch.distributed.checkpoint import (
    CheckpointException,
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.training.distributed import Team

MANIFEST = "checkpoint.json"


def write_shards(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any], team: Team
) -> None:
    """Write the folder `path`, all processes together; it appears when it is whole.

    Args:
        path: on a file system that all processes see.
        tensors: by name, sharded or not.
        about: JSON values to keep beside them.
        team: the processes that call this.

    Raises:
        InputError: it cannot be written; `path` does not appear.
    """
    temporary = path.with_name(f".{path.name}.partial")
    if team.leads:
        for abandoned in path.parent.glob(".checkpoint-*.partial"):
            shutil.rmtree(abandoned)
        temporary.mkdir(parents=True)
    team.wait()
    try:
        writer = HuggingFaceStorageWriter(str(temporary), save_distributed=True)
        dcp.save(dict(tensors), storage_writer=writer)
    except (CheckpointException, OSError) as error:
        raise InputError(
            f"cannot write {path} ({error}): free some space or choose another folder; the old "
            "checkpoint is untouched"
        ) from error
    if team.leads:
        replace_file(temporary / MANIFEST, json.dumps(about).encode())
        os.replace(temporary, path)
    team.wait()


def read_shards(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fill tensors, whole or sharded, from the safetensors files in a folder.

    Args:
        path: the folder.
        tensors: by name, of the shapes that were saved.

    Raises:
        OSError: the files are damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            dcp.load(
                dict(tensors),
                storage_reader=HuggingFaceStorageReader(str(path)),
                no_dist=not dist.is_initialized(),
            )
    except CheckpointException as error:
        raise OSError(str(error)) from error


def shard_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The whole tensors' shapes by name."""
    metadata = HuggingFaceStorageReader(str(path)).read_metadata().state_dict_metadata
    return {name: tuple(entry.size) for name, entry in metadata.items()}  # type: ignore[union-attr]
