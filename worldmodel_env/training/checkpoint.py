"""Checkpoints: all that a training needs to go on exactly. Plain safetensors, atomic, no pickles.

A process with a whole model writes `checkpoint.safetensors`. Processes that share a model write
`checkpoint-STEP/`, a folder of safetensors shards (`training/shards.py`), which any number of
processes reads again. The newest of either kind counts.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from worldmodel_env.config import from_json, to_json
from worldmodel_env.data.writer import remove_abandoned, replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.training.distributed import ALONE, Team
from worldmodel_env.training.ema import Ema
from worldmodel_env.training.shards import MANIFEST, read_shards, shard_shapes, write_shards

SCHEMA = 1
FILE = "checkpoint.safetensors"
FOLDER = "checkpoint-"

Part = nn.Module | Ema | torch.optim.Optimizer


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk; its tensors are read when asked for.

    Attributes:
        path: a safetensors file or a folder of shards.
        schema: version of the format.
        config: the model's dataclass as JSON values.
        counters: step, seconds, seed and whatever else the training wrote.
        shapes: of all tensors, by name: "model.start", "optimizer.3.exp_avg", ...
    """

    path: Path
    schema: int
    config: dict[str, Any]
    counters: dict[str, Any]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def find(cls, folder: Path) -> "Checkpoint | None":
        """The newest checkpoint in a stage's folder; None if there is none.

        Raises:
            InputError: it is damaged, or of a newer schema.
        """
        found = [_open(path) for path in (folder / FILE, *folder.glob(f"{FOLDER}*"))]
        return max(filter(None, found), key=lambda c: c.counters["step"], default=None)

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """The newest checkpoint in a stage's folder.

        Raises:
            InputError: there is none, or as `find`.
        """
        if (found := cls.find(folder)) is None:
            raise InputError(f"{folder / FILE} does not exist; train that stage first.")
        return found

    def weights(self) -> dict[str, Tensor]:
        """What the stage has learned: its model's state dict, averaged if it kept an average.

        Raises:
            InputError: the file is damaged.
        """
        start = "model."
        tensors = {k: torch.empty(s) for k, s in self.shapes.items() if k.startswith(start)}
        self.read(tensors)
        return {k.removeprefix(start): v for k, v in tensors.items()}

    def read(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill tensors of the right shapes, whole or sharded, by name.

        Raises:
            InputError: the file is damaged.
        """
        try:
            if self.path.is_dir() or any(isinstance(t, DTensor) for t in tensors.values()):
                read_shards(self.path if self.path.is_dir() else self.path.parent, tensors)
                return
            with safe_open(self.path, framework="pt") as file, torch.no_grad():
                for name, tensor in tensors.items():
                    tensor.copy_(file.get_tensor(name))
        except (SafetensorError, OSError) as error:
            raise _damaged(self.path, error) from None

    def restore(
        self,
        parts: Mapping[str, Part],
        *,
        config: Any,
        same: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Put the tensors into modules, averages and optimizers.

        Args:
            parts: what gets its tensors back, by the names it was saved under.
            config: what the model was built from.
            same: counters that must be what they were.

        Raises:
            InputError: another configuration, data set, seed or shape (field by field); nothing is
                changed then.
        """
        saved = to_json(from_json(type(config), self.config, str(self.path)))
        differences = _differences(saved, to_json(config))
        # What an older version did not write is not compared.
        known = {k: v for k, v in same.items() if k in self.counters}
        differences += _differences({k: self.counters[k] for k in known}, known)
        if differences:
            raise InputError(
                f"{self.path} was trained with other settings ({'; '.join(differences)}); use the "
                "same ones or another --out."
            )
        tensors: dict[str, Tensor] = {}
        states: list[tuple[torch.optim.Optimizer, dict[int, dict[str, Tensor]]]] = []
        for name, part in parts.items():
            if isinstance(part, torch.optim.Optimizer):
                states.append((part, _empty_state(name, part, self.shapes)))
                tensors |= _flat_state(name, states[-1][1])
            else:
                tensors |= {f"{name}.{k}": v for k, v in part.state_dict().items()}
        self._check_shapes(parts, tensors)
        self.read(tensors)
        for optimizer, state in states:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})

    def _check_shapes(self, parts: Iterable[str], tensors: Mapping[str, Tensor]) -> None:
        saved = {k: _text(s) for k, s in self.shapes.items() if k.split(".")[0] in parts}
        wanted = {k: _text(v.shape) for k, v in tensors.items()}
        if differences := _differences({"": saved}, {"": wanted}):
            more = f"; and {len(differences) - 8} more" if len(differences) > 8 else ""
            raise InputError(
                f"{self.path} holds other tensors ({'; '.join(differences[:8])}{more}); use the "
                "version of worldmodel-env and the options that wrote it, or another --out."
            )


def save_checkpoint(
    folder: Path,
    parts: Mapping[str, Part],
    *,
    config: Any,
    counters: Mapping[str, Any],
    team: Team = ALONE,
) -> None:
    """Write a checkpoint; a crash at any moment leaves the old one or the new one.

    All processes of the team call this; the first one writes, or, if tensors are sharded, each
    writes its shards.

    Args:
        folder: the stage's folder, made if absent.
        parts: modules, averages and optimizers by name. "model" is what others will use.
        config: the model's dataclass.
        counters: JSON values: step, seconds, anything needed to go on.
        team: the processes that call this.

    Raises:
        InputError: it cannot be written; the old checkpoint is kept.
    """
    tensors: dict[str, Tensor] = {}
    for name, part in parts.items():
        if isinstance(part, torch.optim.Optimizer):
            tensors |= _flat_state(name, part.state_dict()["state"])
        else:
            tensors |= {f"{name}.{k}": v.detach() for k, v in part.state_dict().items()}
    about = {"schema": SCHEMA, "config": to_json(config), "counters": dict(counters)}
    old = [folder / FILE, *folder.glob(f"{FOLDER}*")]
    if any(isinstance(t, DTensor) for t in tensors.values()):
        new = folder / f"{FOLDER}{counters['step']:08d}"
        write_shards(new, tensors, about, team)
    elif team.leads:
        new = folder / FILE
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        whole = {k: v.cpu().contiguous() for k, v in tensors.items()}
        replace_file(new, save(whole, {k: json.dumps(v) for k, v in about.items()}))
    if team.leads:
        for path in old:
            if path != new:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    team.wait()


def _open(path: Path) -> Checkpoint | None:
    try:
        if path.is_dir():
            about = json.loads((path / MANIFEST).read_text())
            shapes = shard_shapes(path)
        else:
            with safe_open(path, framework="pt") as file:
                about = {k: json.loads(v) for k, v in file.metadata().items()}
                names = file.keys()
                shapes = {k: tuple(file.get_slice(k).get_shape()) for k in names}
        schema = about.get("schema", SCHEMA)
        if schema > SCHEMA:
            raise InputError(
                f"{path} has checkpoint schema {schema}, this worldmodel-env reads {SCHEMA}; "
                "upgrade it, or use another --out."
            )
        return Checkpoint(path, schema, about["config"], about["counters"], shapes)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged ({error}); delete it and train that stage again.")


def _flat_state(name: str, state: Mapping[int, Mapping[str, Any]]) -> dict[str, Tensor]:
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value)
        for index, values in state.items()
        for key, value in values.items()
    }


def _empty_state(
    name: str, optimizer: torch.optim.Optimizer, shapes: Mapping[str, tuple[int, ...]]
) -> dict[int, dict[str, Tensor]]:
    """Room for an optimizer's saved state: moments as their parameters are, sharded or not."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for full, shape in shapes.items():
        part, _, rest = full.partition(".")
        if part == name:
            index, _, key = rest.partition(".")
            moment = key != "step" and int(index) < len(parameters)
            room = torch.zeros_like(parameters[int(index)]) if moment else torch.zeros(shape)
            state.setdefault(int(index), {})[key] = room
    return state


def _text(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a number"


def _differences(saved: Any, wanted: Any, where: str = "") -> list[str]:
    if isinstance(saved, dict) and isinstance(wanted, dict):
        keys = sorted({*saved, *wanted})
        return [d for k in keys for d in _differences(saved.get(k), wanted.get(k), f"{where}.{k}")]
    return [] if saved == wanted else [f"{where[1:]} is {saved!r}, now {wanted!r}"]
