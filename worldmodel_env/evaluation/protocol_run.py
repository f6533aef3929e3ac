"""Run a protocol: predict, measure, sum up, write the report and its page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.examples import Example
from worldmodel_env.evaluation.film_section import film_section
from worldmodel_env.evaluation.measure import (
    PREDICTED,
    Ceiling,
    Networks,
    ResultStore,
    measure_part,
)
from worldmodel_env.evaluation.prediction_section import prediction_section
from worldmodel_env.evaluation.protocol import Part, choose_episodes
from worldmodel_env.evaluation.report import Report, Section
from worldmodel_env.evaluation.report_folder import write_report
from worldmodel_env.evaluation.samples import Sample, Source

RESULTS = "results"
SHOWN = 4
"""Films of each part that the page shows: the first episodes, not picked."""


def run_protocol(
    source: Source,
    dataset: TrajectoryDataset,
    parts: Sequence[Part],
    out: Path,
    *,
    identity: Mapping[str, Any],
    split: str = "test",
    episodes: int = 64,
    refs: Sequence[EpisodeRef] | None = None,
    seeds: Sequence[int] = (0,),
    group: int = 256,
    ceiling: Ceiling | None = None,
    device: torch.device | str = "cpu",
) -> Report:
    """Evaluate a model; killed and run again, it goes on where it was.

    Writes OUT/report.json, OUT/report.html, OUT/examples.npz and, while it runs, OUT/results.
    Sections that another measurement of the same model has left in the report stay.

    Args:
        source: of the predictions.
        dataset: held-out episodes to predict.
        parts: the protocol.
        out: the report's folder.
        identity: plain JSON values that tell this model from any other (digest of its weights,
            precision, sampling): results kept in `out` are used again only for the same.
        split: which episodes.
        episodes: how many at most, the first by seed that are long enough.
        refs: the episodes instead, of one split and long enough for every part.
        seeds: predictions of each, 0 or more and different.
        group: episodes of a group; standard deviations are over groups, FVD is of one group.
        ceiling: true frames through the model's tokenizer and back.
        device: where LPIPS and I3D run.

    Raises:
        InputError: no episode is long enough, predictions are not frames of the right shape, or an
            option is out of range.
    """
    _check(seeds, group)
    networks = Networks.open(parts, device)
    decides = {"model": {"name": source.name, **identity}, "networks": networks.digests}
    if refs is None:
        refs = choose_episodes(dataset, split, max(part.length for part in parts), episodes)
    samples = [Sample(ref, seed) for seed in seeds for ref in refs]
    sections: dict[str, Section] = {}
    examples: list[Example] = []
    for part in parts:
        store = ResultStore(out / RESULTS, part, decides)
        measured = part.frames or networks.i3d is not None
        results = measure_part(
            source, dataset, part, samples if measured else (), store, networks,
            ceiling=ceiling, shown=SHOWN,
        )  # fmt: skip
        if part.frames:
            sections[part.name] = prediction_section(
                source.name, part, samples, results, networks.unavailable, group=group
            )
        if part.film:
            sections["film"] = film_section(
                source.name, part, dataset, samples, results, networks.i3d, networks.unavailable,
                group=group,
            )  # fmt: skip
        shown = [s for s in samples[:SHOWN] if s.seed == seeds[0]] if measured else []
        for sample, result in zip(shown, results, strict=False):
            true = dataset.read(sample.ref, 0, part.length).observations
            predicted = result[PREDICTED]
            examples.append(Example.of(part, sample.ref.id, source.name, true, predicted))
    about: dict[str, Any] = {
        "model": dict(identity),
        "data": {
            "simulators": dataset.metadata["simulators"],
            "sha256": dataset.data_hash(refs[0].split),
            "split": refs[0].split,
            "episodes": len(refs),
            "frame": list(dataset.observation_space.shape[:2]),
        },
        "parts": [asdict(part) for part in parts],
        "seeds": list(seeds),
        "networks": networks.digests,
        "versions": {name: version(name) for name in ("worldmodel-env", "torch", "numpy")},
    }
    report = Report(source.name, about, sections)
    return write_report(out, report, examples)


def _check(seeds: Sequence[int], group: int) -> None:
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0 or max(seeds) >= 1 << 30:
        raise InputError(
            f"seeds are {list(seeds)}; give different whole numbers from 0 to {(1 << 30) - 1}."
        )
    if group < 1:
        raise InputError(f"group is {group}; give 1 episode or more.")
