"""A file of predicted frames, so that any model can be scored (docs/benchmark.md)."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the zstd filter)
import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import BATCH
from worldmodel_env.evaluation.protocol import FILM, PREDICTION, Part
from worldmodel_env.evaluation.samples import Sample

FORMAT = "worldmodel-predictions"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class _Group:
    part: Part
    rows: Mapping[tuple[int, int], int]
    """(seed, episode) -> row of `frames`."""


class PredictionsFile:
    """Predictions of one model, read as they are needed; a `Source`.

    Attributes:
        name: the model's.
        batch: samples read at once.
        parts: what the file predicts from what.
        seeds: of the predictions; the same in every part.
        episodes: ids, ascending; the same for every seed and part.
    """

    batch = BATCH

    def __init__(self, path: Path) -> None:
        """Open and check the file.

        Raises:
            InputError: it is not such a file, or its parts disagree.
        """
        self._path = path
        try:
            self._file = h5py.File(path)
        except OSError as error:
            raise InputError(
                f"predictions {path} cannot be read ({error}); give an HDF5 file as "
                "docs/benchmark.md describes it."
            ) from None
        attributes = dict(self._file.attrs)
        version = attributes.get("format_version")
        found = (attributes.get("format"), version if version is None else int(version))
        if found != (FORMAT, FORMAT_VERSION):
            raise InputError(
                f"predictions {path} have format {found[0]!r}, version {found[1]!r}, expected "
                f"{FORMAT!r}, version {FORMAT_VERSION}; set both attributes as docs/benchmark.md "
                "says."
            )
        self.name = str(attributes.get("model", path.stem))
        names = [name for name in (PREDICTION, FILM) if name in self._file]
        if not names:
            raise InputError(
                f"predictions {path} hold {sorted(self._file)}, expected a group {PREDICTION!r} or "
                f"{FILM!r}; see docs/benchmark.md."
            )
        self._groups = {name: self._group(name) for name in names}
        self.parts = tuple(group.part for group in self._groups.values())
        keys = [set(group.rows) for group in self._groups.values()]
        self.seeds = sorted({seed for seed, _ in keys[0]})
        self.episodes = sorted({episode for _, episode in keys[0]})
        if any(set(k) != {(s, e) for s in self.seeds for e in self.episodes} for k in keys):
            raise InputError(
                f"predictions {path} do not have the same episodes for every seed and part; "
                "predict each episode once per seed, in every part."
            )

    def __enter__(self) -> "PredictionsFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def identity(self) -> dict[str, Any]:
        """What tells these predictions from others: the file's sha256."""
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while block := file.read(1 << 24):
                digest.update(block)
        return {"predictions_sha256": digest.hexdigest()}

    def check(
        self, dataset: TrajectoryDataset, protocol: Sequence[Part] | None
    ) -> tuple[list[EpisodeRef], list[Part]]:
        """The episodes predicted, in the order of their ids, and the parts to measure.

        Args:
            dataset: of the true frames.
            protocol: parts that the file's must be among; None accepts any lengths.

        Raises:
            InputError: a part differs from the protocol's, frames are of another size, or an
                episode is not in the data, not long enough, or of another split than the first.
        """
        wanted = {part.name: part for part in protocol or self.parts}
        parts = [wanted.get(part.name, part) for part in self.parts]
        for part in self.parts:
            mine = (part.context, part.horizon, part.actions)
            other = wanted.get(part.name)
            if other is None or mine != (other.context, other.horizon, other.actions):
                asked = other and f"{other.context} + {other.horizon}, actions {other.actions}"
                raise InputError(
                    f"{self._path} has {part.name!r} of {part.context} + {part.horizon} frames, "
                    f"actions {part.actions}, where the protocol has {asked or 'no such part'}; "
                    "predict what it asks for, or score with `--protocol clip`."
                )
            shape = self._file[part.name]["frames"].shape[2:]
            if shape != dataset.observation_space.shape:
                raise InputError(
                    f"{self._path} has frames of shape {shape} where the data has "
                    f"{dataset.observation_space.shape}; scale the predictions to its size."
                )
        known = {ref.id: ref for ref in dataset.episodes()}
        length = max(part.length for part in self.parts)
        for episode in self.episodes:
            ref = known.get(episode)
            if ref is None or ref.total_steps + 1 < length or ref.split != _split(known, self):
                why = "is not there"
                if ref is not None:
                    why = f"is of split {ref.split} and has {ref.total_steps + 1} frames"
                raise InputError(
                    f"{self._path} predicts episode {episode}, which {why} in {dataset.root}, "
                    f"where {length} frames of one split are needed; predict episodes of that data."
                )
        return [known[episode] for episode in self.episodes], parts

    def predict(
        self, part: Part, samples: Sequence[Sample], clips: NDArray[np.uint8], actions: NDArray
    ) -> NDArray[np.uint8]:
        """See `Source`."""
        rows = self._groups[part.name].rows
        frames = self._file[part.name]["frames"]
        return np.stack([frames[rows[sample.seed, sample.ref.id]] for sample in samples])

    def _group(self, name: str) -> _Group:
        group, where = self._file[name], f"predictions {self._path}, group {name!r},"
        missing = [k for k in ("context", "horizon", "actions") if k not in group.attrs]
        missing += [k for k in ("frames", "episodes") if k not in group]
        if missing:
            raise InputError(f"{where} lack {missing}; see docs/benchmark.md.")
        context, horizon = int(group.attrs["context"]), int(group.attrs["horizon"])
        frames, episodes = group["frames"], group["episodes"][()]
        seeds = group["seeds"][()] if "seeds" in group else np.zeros_like(episodes)
        if frames.dtype != np.uint8:
            raise InputError(
                f"{where} have frames of {frames.dtype} where uint8 was expected; convert them as "
                "they are shown, 0 to 255, with no NaN left."
            )
        if frames.ndim != 5 or frames.shape[-1] != 3 or frames.shape[1] != horizon:
            raise InputError(
                f"{where} have frames {frames.shape} where (N, {horizon}, H, W, 3) was expected; "
                "give every frame after the context, channels last."
            )
        if episodes.shape != (len(frames),) or seeds.shape != episodes.shape:
            raise InputError(
                f"{where} have {episodes.shape} episodes and {seeds.shape} seeds for {len(frames)} "
                "predictions; give one of each per prediction."
            )
        pairs = zip(seeds.tolist(), episodes.tolist(), strict=True)
        rows = {pair: row for row, pair in enumerate(pairs)}
        if len(rows) < len(frames) or not rows:
            raise InputError(
                f"{where} have {len(frames)} predictions of {len(rows)} different episodes and "
                "seeds; give at least one, and each once."
            )
        film = name == FILM or not bool(group.attrs["actions"])
        part = Part(name, context, horizon, bool(group.attrs["actions"]), name != FILM, film)
        return _Group(part, rows)


def _split(known: Mapping[int, EpisodeRef], file: PredictionsFile) -> str | None:
    first = known.get(file.episodes[0])
    return None if first is None else first.split
