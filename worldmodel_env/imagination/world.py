"""A world: a folder with everything needed to imagine. Format: docs/world-format.md."""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from worldmodel_env.config import from_json, to_json
from worldmodel_env.data.schema import image_space, space_from_json, space_to_json
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.card import model_card
from worldmodel_env.imagination.step import Imagination, Sampling
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.teco import Teco, TecoConfig
from worldmodel_env.models.vqgan import Vqgan, VqganConfig

SCHEMA_VERSION = 1
MANIFEST = "world.json"
WEIGHTS = "weights.safetensors"
STARTS = "starts.hdf5"
CARD = "README.md"


@dataclass(frozen=True)
class WorldConfig:
    """How a world is built and used.

    Attributes:
        vqgan: the tokenizer.
        teco: the world model.
        sampling: how frames are drawn unless asked otherwise.
        max_episode_steps: where an episode is truncated, as in the simulator.
    """

    vqgan: VqganConfig
    teco: TecoConfig
    sampling: Sampling
    max_episode_steps: int


@dataclass(frozen=True)
class World:
    """A trained world, in memory; copies share it, for it never changes.

    Attributes:
        name: what it is called.
        config: its architecture and defaults.
        action_space: of the simulator that it imitates.
        weights: float32 tensors of tokenizer ("vqgan.*") and world model ("teco.*").
        starts: (N, grid, grid) uint16 codes of episodes' first frames.
        provenance: data hash, steps, hardware, seeds, versions: where it comes from.
        quality: measured numbers.
        version: of the world itself, raised when it is trained anew under the same name.
        digest: sha256 of what decides its imagination (configuration, spaces, weights, starts), not
            of what is said about it; names caches of its exports. Empty until loaded from disk.
    """

    name: str
    config: WorldConfig
    action_space: spaces.Space
    weights: dict[str, Tensor]
    starts: NDArray[np.uint16]
    provenance: dict[str, Any] = field(default_factory=dict)
    quality: dict[str, Any] = field(default_factory=dict)
    version: str = "1"
    digest: str = ""

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other (InputError)."""
        vqgan, teco = self.config.vqgan, self.config.teco
        grid, starts = vqgan.grid, self.starts
        actions = ActionConfig.of(self.action_space)
        if (teco.code_grid, teco.vq_codes) != (grid, vqgan.n_codes):
            raise InputError(
                f"world {self.name!r} joins a tokenizer of {grid} x {grid} cells and "
                f"{vqgan.n_codes} codes to a model of {teco.code_grid} x {teco.code_grid} and "
                f"{teco.vq_codes}; build both from one configuration."
            )
        if teco.actions != actions:
            raise InputError(
                f"world {self.name!r} has a model of {teco.actions} but the action space "
                f"{self.action_space}; give it the space it was trained with."
            )
        if starts.ndim != 3 or not len(starts) or starts.shape[1:] != (grid, grid):
            raise InputError(
                f"world {self.name!r} has starts of shape {starts.shape}, expected at least one "
                f"grid (N, {grid}, {grid}); encode them with its own tokenizer."
            )
        if starts.dtype != np.uint16 or starts.max() >= vqgan.n_codes:
            raise InputError(
                f"world {self.name!r} has starts of {starts.dtype} up to {starts.max()}, expected "
                f"uint16 codes under {vqgan.n_codes}; encode them with its own tokenizer."
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> "World":
        return self

    @property
    def observation_space(self) -> spaces.Box:
        """Box(0, 255, (R, R, 3), uint8)."""
        side = self.config.vqgan.resolution
        return image_space(side, side)

    def imagination(self, sampling: Sampling | None = None) -> Imagination:
        """A fresh model with this world's weights, in float32 on the CPU, for inference.

        Raises:
            InputError: the weights are not those of the configured model.
        """
        with torch.random.fork_rng(devices=[]):  # initial weights must not move the user's RNG
            model = Imagination(
                Vqgan(self.config.vqgan), Teco(self.config.teco), sampling or self.config.sampling
            )
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise InputError(
                f"world {self.name!r} has weights that do not fit its configuration ({reason}); "
                "copy or save the world again."
            ) from None
        return model.eval().requires_grad_(False)

    def save(self, path: str | Path) -> Path:
        """Write the folder; weights are stored in half precision.

        Returns:
            The folder.

        Raises:
            InputError: it cannot be written; a world that was there before is untouched.
        """
        folder = Path(path)
        # Copies: half-precision tensors of one storage may not be shared in safetensors.
        half = {
            k: (v.half() if v.is_floating_point() else v).contiguous().clone()
            for k, v in self.weights.items()
        }
        contents = {WEIGHTS: save(half), STARTS: _starts_bytes(self.starts)}
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "version": self.version,
            "action_space": json.loads(space_to_json(self.action_space)),
            "config": to_json(self.config),
            "provenance": self.provenance,
            "quality": self.quality,
            "sha256": {k: hashlib.sha256(v).hexdigest() for k, v in contents.items()},
        }
        contents[CARD] = model_card(manifest).encode()
        # Last, because it vouches for the others.
        contents[MANIFEST] = (json.dumps(manifest, indent=1) + "\n").encode()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Everything is on disk before the first file of an older world is replaced.
            with TemporaryDirectory(prefix=".save-", dir=folder) as temporary:
                for name, content in contents.items():
                    replace_file(Path(temporary) / name, content)
                for name in contents:
                    os.replace(Path(temporary) / name, folder / name)
        except OSError as error:
            raise InputError(
                f"cannot write the world to {folder} ({error.strerror}); choose another folder."
            ) from None
        return folder

    @classmethod
    def load(cls, name_or_path: str | Path) -> "World":
        """Read a shipped world by name or any world by its folder.

        Raises:
            InputError: there is no such world, or it is damaged, truncated or of a newer schema.
        """
        folder = find_world(name_or_path)
        text = (folder / MANIFEST).read_bytes()
        try:
            manifest = json.loads(text)
            version, sums = manifest["schema_version"], dict(manifest["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(folder / MANIFEST, f"{type(error).__name__}: {error}") from None
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{folder / MANIFEST} has schema version {version}, this worldmodel-env reads "
                f"{SCHEMA_VERSION}; upgrade it with `pip install --upgrade worldmodel-env`."
            )
        contents = {name: _checked(folder / name, sums.get(name)) for name in (WEIGHTS, STARTS)}
        try:
            weights = {k: _full(v) for k, v in load(contents[WEIGHTS]).items()}
            with h5py.File(io.BytesIO(contents[STARTS])) as file:
                starts = file["codes"][:]
            return cls(
                name=manifest["name"],
                config=from_json(WorldConfig, manifest["config"], "config"),
                action_space=space_from_json(json.dumps(manifest["action_space"])),
                weights=weights,
                starts=starts,
                provenance=manifest["provenance"],
                quality=manifest["quality"],
                version=manifest["version"],
                digest=_digest(manifest),
            )
        except InputError as error:
            raise InputError(f"{folder / MANIFEST}: {error}") from None
        except (KeyError, OSError, SafetensorError) as error:
            raise _damaged(folder, f"{type(error).__name__}: {error}") from None


def record_quality(name_or_path: str | Path, numbers: Mapping[str, Any]) -> None:
    """Add measured numbers to a saved world, and to its card; those of the same key are replaced.

    Raises:
        InputError: there is no such world, it is damaged, or its folder cannot be written.
    """
    world = World.load(name_or_path)
    replace(world, quality={**world.quality, **numbers}).save(find_world(name_or_path))


def shipped_worlds() -> list[str]:
    """Names of the worlds inside the package."""
    root = Path(str(files("worldmodel_env"))) / "worlds"
    return sorted(p.parent.name for p in root.glob(f"*/{MANIFEST}"))


def find_world(name_or_path: str | Path) -> Path:
    """The folder of a shipped world (a bare name) or of one given by path.

    Raises:
        InputError: neither exists.
    """
    folder = Path(name_or_path)
    if str(name_or_path) in shipped_worlds():
        folder = Path(str(files("worldmodel_env"))) / "worlds" / str(name_or_path)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"world {str(name_or_path)!r} is neither shipped ({', '.join(shipped_worlds())}) nor a "
            f"folder with a {MANIFEST}; give one of these names or the folder that training wrote."
        )
    return folder


def _starts_bytes(starts: NDArray[np.uint16]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("codes", data=starts, compression="gzip", shuffle=True)
    return buffer.getvalue()


def _digest(manifest: dict[str, Any]) -> str:
    content = {key: manifest[key] for key in ("config", "action_space", "sha256")}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _checked(path: Path, expected: str | None) -> bytes:
    if not path.is_file():
        raise _damaged(path, "the file is missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != expected:
        raise _damaged(path, "its checksum differs from the one in world.json")
    return content


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged ({why}); copy or save the world again.")


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
