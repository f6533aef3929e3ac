"""Drift: what becomes of frames when imagination goes on far beyond what was recorded.

Nothing here needs the truth: each measure of imagined frames is set beside the same measure of
recorded ones. A walk longer than its recording goes on with the next recordings' actions.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.predictor import Predictor
from worldmodel_env.evaluation.probes.clips import Clips
from worldmodel_env.evaluation.probes.drift_measure import BANK, MEASURES, Measured, Tokens, measure
from worldmodel_env.evaluation.probes.rollout import filled, noise_keys


def drive(clips: Clips, length: int) -> NDArray:
    """Actions for `length` frames: the recorded ones, then those of the walks that follow."""
    repeats = -(-(length - 1) // clips.actions.shape[1])
    ring = [np.roll(clips.actions, -i, axis=0) for i in range(repeats)]
    return np.concatenate(ring, 1)[:, : length - 1]


def run_drift(
    predictor: Predictor,
    clips: Clips,
    context: int,
    horizon: int,
    *,
    tokens: Tokens | None,
    cache: Path,
    key: str,
    seed: int = 0,
) -> Measured:
    """Imagine and measure, batch by batch; batches measured earlier are read back.

    Args:
        predictor: the model.
        clips: what it continues.
        context: true frames given.
        horizon: frames to imagine of each clip, however many were recorded.
        tokens: a tokenizer for the codes' entropy.
        cache: folder of what was measured.
        key: what else the measurement depends on, such as the world's digest; files of another key
            are replaced.
        seed: of the imagination and the choice of frames to look up.

    Raises:
        InputError: the recordings are all of one map.
    """
    if len(np.unique(clips.places)) < 2:
        raise InputError(
            "Drift looks frames up in the same map and in others, and these recordings have one "
            "map only; give it more episodes."
        )
    settings = {
        "predictor": predictor.name,
        "key": key,
        "context": context,
        "horizon": horizon,
        "batch": predictor.batch,
        "seed": seed,
        "episodes": clips.seeds.tolist(),
        "recorded": clips.length,
        "bank": BANK,
        "codes": None if tokens is None else tokens.codes,
    }
    cache.mkdir(parents=True, exist_ok=True)
    actions = drive(clips, context + horizon)
    parts = []
    for start in tqdm(
        range(0, len(clips), predictor.batch), desc="drift", unit="batch", disable=None
    ):
        path = cache / f"part-{start:05d}.npz"
        if (part := _load(path, settings)) is None:
            rows = filled(start, len(clips), predictor.batch)
            frames = predictor.predict(
                clips.frames[rows, :context],
                actions[rows],
                horizon,
                noise_keys(clips.seeds[rows], seed),
            )
            fresh = rows[: len(clips) - start]
            part = measure(clips, fresh, frames[: len(fresh)], context, tokens, seed)
            _save(path, settings, part)
        parts.append(part)
    counts = [part.counts for part in parts if part.counts is not None]
    return Measured(
        {name: np.concatenate([part.values[name] for part in parts]) for name in MEASURES},
        np.sum(counts, 0) if counts else None,
    )


def _load(path: Path, settings: dict) -> Measured | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as file:
        if str(file["settings"]) != json.dumps(settings):
            return None
        values = {name: file[name] for name in MEASURES}
        return Measured(values, file.get("counts"))


def _save(path: Path, settings: dict, part: Measured) -> None:
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"settings": np.array(json.dumps(settings)), **part.values}
    if part.counts is not None:
        arrays["counts"] = part.counts
    np.savez_compressed(buffer, **arrays)
    replace_file(path, buffer.getvalue())
