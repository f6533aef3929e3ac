"""Measure the predictions of one part, batch by batch, keeping every result on disk.

A run that is killed goes on where it was: results are kept per sample, under a name made of
everything that decides them. Where some of a batch are missing, all of it is predicted again, for
rows are the same only in batches of the same size, and the missing ones are measured.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.writer import remove_abandoned, replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.horizon import COPY_LAST, TOKENIZER, measure
from worldmodel_env.evaluation.metrics import WeightsMissing, identical
from worldmodel_env.evaluation.metrics.i3d import I3d
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.metrics.sources import I3D, LPIPS
from worldmodel_env.evaluation.protocol import Part
from worldmodel_env.evaluation.samples import Sample, Source

MODEL = "model"
FEATURES = "features"
PREDICTED = "predicted"
IDENTICAL = "identical"

Result = dict[str, NDArray]
Ceiling = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Networks:
    """The pretrained networks at hand.

    Attributes:
        lpips: None if its weights are missing.
        i3d: None if its weights are missing, or no part needs it.
        unavailable: metric -> why it cannot be measured.
    """

    lpips: Lpips | None
    i3d: I3d | None
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, parts: Sequence[Part], device: torch.device | str = "cpu") -> "Networks":
        """What the parts need, as far as it is on this machine."""
        lpips, i3d, unavailable = None, None, {}
        try:
            lpips = Lpips("alex").to(device)
        except WeightsMissing as missing:
            unavailable["lpips"] = str(missing)
        if any(part.film for part in parts):
            try:
                i3d = I3d().to(device)
            except WeightsMissing as missing:
                unavailable |= {"fvd": str(missing), "kvd": str(missing)}
        return cls(lpips, i3d, unavailable)

    @property
    def digests(self) -> dict[str, str]:
        """The weights in use, for they decide the results."""
        nets = {"lpips": (self.lpips, LPIPS["alex"]), "i3d": (self.i3d, I3D)}
        return {name: source.digest for name, (net, source) in nets.items() if net is not None}


class ResultStore:
    """A file of arrays per sample, in a folder named for what decides them."""

    def __init__(self, folder: Path, part: Part, decides: Mapping[str, Any]) -> None:
        """Make the folder; InputError if that fails."""
        text = json.dumps({"part": asdict(part), **decides}, sort_keys=True, default=str)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.folder = folder / f"{part.name}-{name}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"cannot make the folder {self.folder} ({error.strerror}); choose another --out."
            ) from None
        remove_abandoned(self.folder)

    def load(self, sample: Sample) -> Result | None:
        """A sample's arrays; None if there is no whole file of them."""
        try:
            with np.load(self._path(sample), allow_pickle=False) as file:
                return dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None

    def save(self, sample: Sample, result: Result) -> None:
        """Keep a sample's arrays; the file is whole or not there."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **result)
        replace_file(self._path(sample), buffer.getvalue())

    def _path(self, sample: Sample) -> Path:
        ref = sample.ref
        return self.folder / f"{sample.seed}-{ref.id:09d}-{ref.row.sha256[:12]}.npz"


def measure_part(
    source: Source,
    dataset: TrajectoryDataset,
    part: Part,
    samples: Sequence[Sample],
    store: ResultStore,
    networks: Networks,
    *,
    ceiling: Ceiling | None = None,
    shown: int = 0,
) -> list[Result]:
    """The results of every sample, measured or found in the store.

    Args:
        source: of the predictions.
        dataset: of the true frames.
        part: what is predicted from what.
        samples: the predictions wanted.
        store: where results are kept.
        networks: what measures them.
        ceiling: true frames (B, H, W, 3) through the model's tokenizer and back.
        shown: keep the predicted frames themselves of so many samples, the first of one seed.

    Returns:
        Per sample: `<metric>.<series>` (K,) for metrics psnr, ssim, lpips and identical, and series
        model, copy_last and, with a ceiling, tokenizer; `features` (400,) of the film; `predicted`
        (K, H, W, 3) uint8 where shown.

    Raises:
        InputError: predictions are not uint8 frames of the expected shape.
    """
    results: dict[Sample, Result] = {}
    kept = {sample for sample in samples[:shown] if sample.seed == samples[0].seed}
    with tqdm(total=len(samples), desc=part.name, unit="clip", disable=None) as bar:
        for batch in _batches(samples, source.batch):
            found = {sample: store.load(sample) for sample in batch}
            whole = {
                s: r
                for s, r in found.items()
                if r is not None and (s not in kept or PREDICTED in r)
            }
            bar.update(len(whole))
            if len(whole) < len(batch):
                missing = set(batch) - set(whole)
                measured = _measure(source, dataset, part, batch, missing, networks, ceiling, kept)
                for sample, result in measured:
                    store.save(sample, result)
                    whole[sample] = result
                    bar.update()
            results |= whole
    return [results[sample] for sample in samples]


def _measure(
    source: Source,
    dataset: TrajectoryDataset,
    part: Part,
    batch: Sequence[Sample],
    missing: set[Sample],
    networks: Networks,
    ceiling: Ceiling | None,
    kept: set[Sample],
) -> Iterator[tuple[Sample, Result]]:
    episodes = [dataset.read(sample.ref, 0, part.length) for sample in batch]
    clips = np.stack([episode.observations for episode in episodes])
    actions = np.stack([episode.actions for episode in episodes])
    predicted = source.predict(part, batch, clips, actions)
    _check(source.name, predicted, (len(batch), part.horizon, *clips.shape[2:]))
    for sample, clip, frames in zip(batch, clips, predicted, strict=True):
        if sample not in missing:
            continue
        result: Result = {}
        if part.frames:
            true, last = clip[part.context :], clip[part.context - 1]
            series = {MODEL: frames, COPY_LAST: np.broadcast_to(last, true.shape)}
            if ceiling is not None:
                series[TOKENIZER] = ceiling(true)
            for name, other in series.items():
                for metric, values in measure(true, other, networks.lpips).items():
                    result[f"{metric}.{name}"] = values
                result[f"{IDENTICAL}.{name}"] = identical(true, other)
        if part.film and networks.i3d is not None:
            film = np.concatenate([clip[: part.context], frames])
            result[FEATURES] = networks.i3d.features([film])[0]
        if sample in kept:
            result[PREDICTED] = frames
        yield sample, result


def _batches(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


def _check(name: str, frames: NDArray, expected: tuple[int, ...]) -> None:
    if frames.shape == expected and frames.dtype == np.uint8:
        return
    broken = ""
    if np.issubdtype(frames.dtype, np.floating) and not np.isfinite(frames).all():
        broken = f" with {(~np.isfinite(frames)).sum()} values that are not finite"
    raise InputError(
        f"{name} predicted {frames.dtype} {frames.shape}{broken} where uint8 {expected} was "
        "expected; give every predicted frame as it is shown, 0 to 255."
    )
