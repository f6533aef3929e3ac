"""One safetensors file per checkpoint: weights, optimizer moments, counters. Atomic, no pickles."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from worldmodel_env.config import to_json
from worldmodel_env.data.writer import remove_abandoned, replace_file
from worldmodel_env.errors import InputError

CHECKPOINT = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    *,
    config: Any,
    counters: dict[str, Any],
) -> Path:
    """Write `folder/checkpoint.safetensors`; a crash at any moment leaves the old or the new one.

    Args:
        folder: the stage's folder, made if absent.
        model: its state dict is stored in full precision.
        optimizer: its per-parameter state; None for a finished model.
        config: the model's dataclass, checked on load.
        counters: JSON values: step, seconds, anything the loop needs to go on.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    if optimizer is not None:
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in state.items()}
    metadata = {"config": json.dumps(to_json(config)), "counters": json.dumps(counters)}
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    replace_file(folder / CHECKPOINT, save(tensors, metadata))
    return folder / CHECKPOINT


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    *,
    config: Any,
    same: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Restore what `save_checkpoint` wrote and return its counters.

    Args:
        folder: the stage's folder.
        model: gets the weights.
        optimizer: gets its state; None to leave that in the file.
        config: what the model was built from.
        same: counters that must be what they were.

    Raises:
        InputError: no checkpoint, a damaged one, or one of another configuration (field by field).
    """
    path = folder / CHECKPOINT
    tensors, saved, counters = read_checkpoint(folder)
    differences = _differences(saved, to_json(config))
    differences += _differences({k: counters.get(k) for k in same}, dict(same))
    if differences:
        raise InputError(
            f"{path} was trained with other settings ({'; '.join(differences)}); use the same "
            "ones or another --out."
        )
    try:
        model.load_state_dict(model_tensors(tensors))
    except RuntimeError as error:
        raise InputError(
            f"{path} was written by another version of worldmodel-env "
            f"({' '.join(str(error).split())}); use that version or another --out."
        ) from None
    if optimizer is not None:
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".")
                state.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return counters


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """Tensors, configuration and counters of the checkpoint in `folder`.

    Raises:
        InputError: it is absent or damaged.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        raise InputError(f"{path} does not exist; train that stage first.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        return tensors, json.loads(metadata["config"]), json.loads(metadata["counters"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}); delete it and train that stage again."
        ) from None


def model_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of a checkpoint's tensors, the model's state dict."""
    return {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}


def _differences(saved: Any, wanted: Any, where: str = "") -> list[str]:
    if isinstance(saved, dict) and isinstance(wanted, dict):
        keys = sorted({*saved, *wanted})
        return [d for k in keys for d in _differences(saved.get(k), wanted.get(k), f"{where}.{k}")]
    return [] if saved == wanted else [f"{where[1:]} is {saved!r}, now {wanted!r}"]
