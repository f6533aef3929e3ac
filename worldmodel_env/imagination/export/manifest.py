"""What a folder of exported graphs says of itself: `export.json`, and how it is read back."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from worldmodel_env._version import __version__
from worldmodel_env.config import from_json, to_json
from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.sampling import Sampling

SCHEMA_VERSION = 1
MANIFEST = "export.json"
DYNAMIC = "dynamic"
AGAIN = "export it again with `worldmodel export`"


@dataclass(frozen=True)
class Options:
    """What decides the files that a world is exported to.

    Attributes:
        sampling: of `step`.
        precision: of weights and state: fp32, or fp16 or bf16 for accelerators.
        batch: rows of every tensor; None leaves it open, and whoever loads the files fixes it.
    """

    sampling: Sampling
    precision: str = "fp32"
    batch: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        batch = DYNAMIC if self.batch is None else self.batch
        return {"sampling": to_json(self.sampling), "precision": self.precision, "batch": batch}


@dataclass(frozen=True)
class Export:
    """A folder of exported graphs that is whole, and what its manifest says.

    Attributes:
        folder: where the files are.
        manifest: the content of `export.json`.
    """

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path, world: World, options: Options | None = None) -> "Export":
        """Read an export and make sure that it is this world's.

        Args:
            folder: what `exporters/to_onnx.py` wrote.
            world: as it is now.
            options: that it must have been made with, if given.

        Raises:
            InputError: it is missing, damaged, stale, or made with other options.
        """
        manifest = read_manifest(Path(folder), world, options)
        for name, expected in manifest["sha256"].items():
            file = Path(folder) / name
            if not file.is_file() or sha256(file) != expected:
                raise InputError(f"{file} is damaged or missing; {AGAIN}.")
        return cls(Path(folder), manifest)

    @property
    def batch(self) -> int | None:
        """Rows that the files are made for; None: any number."""
        batch = self.manifest["options"]["batch"]
        return None if batch == DYNAMIC else batch

    @property
    def precision(self) -> str:
        """Of the weights: fp32, fp16 or int8."""
        return self.manifest["options"]["precision"]

    @property
    def sampling(self) -> Sampling:
        """Of `step`."""
        return from_json(Sampling, self.manifest["options"]["sampling"], "sampling")

    @property
    def state(self) -> tuple[str, ...]:
        """Names of a state's tensors."""
        return tuple(self.manifest["state"])

    def noise_shape(self, graph: str) -> tuple[int, ...] | None:
        """Shape of a graph's noise without the batch; None if it takes none."""
        inputs = {tensor["name"]: tensor for tensor in self.manifest["graphs"][graph]["inputs"]}
        return tuple(inputs["noise"]["shape"][1:]) if "noise" in inputs else None

    def has(self, graph: str) -> bool:
        """Whether there is a graph of this name."""
        return graph in self.manifest["graphs"]

    def file(self, graph: str) -> Path:
        """The ONNX file of a graph."""
        return self.folder / self.manifest["graphs"][graph]["file"]


def read_manifest(folder: Path, world: World, options: Options | None) -> dict[str, Any]:
    """The manifest of a folder; InputError unless it is of an export as `Export.load` wants it."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} holds no export, {MANIFEST} is missing; {AGAIN}.")
    try:
        manifest = json.loads(path.read_bytes())
        schema, made_with, made_of = (manifest[k] for k in ("schema_version", "options", "origin"))
        present = origin(world)
        stale = next((name for name, value in present.items() if made_of[name] != value), None)
        if not manifest["graphs"] or not dict(manifest["sha256"]):
            raise ValueError("it names no files")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({type(error).__name__}: {error}); {AGAIN}.") from None
    if schema != SCHEMA_VERSION:
        raise InputError(f"{path} has schema version {schema}, not {SCHEMA_VERSION}; {AGAIN}.")
    if stale is not None:
        raise InputError(
            f"{folder} is stale: it was exported with another {stale} ({made_of[stale]}, now "
            f"{present[stale]}); {AGAIN}."
        )
    if options is not None and made_with != options.to_json():
        raise InputError(
            f"{folder} was exported with {made_with}, not {options.to_json()}; {AGAIN}."
        )
    return manifest


def origin(world: World) -> dict[str, str]:
    """What an export must have in common with the present to be used."""
    return {
        "world": world.digest,
        "code": code_digest(),
        "worldmodel-env": __version__,
    }


@cache
def code_digest() -> str:
    """sha256 of the sources that define the graphs, so that no export outlives an edit of them."""
    here = Path(__file__).parent
    package = here.parent.parent
    sources = [here / "graphs.py", here / "write.py", here.parent / "step.py"]
    for folder in (package / "models", package / "models" / "mixers"):
        sources += sorted(folder.glob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
