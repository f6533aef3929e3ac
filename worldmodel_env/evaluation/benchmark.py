"""One model's row of the benchmark: frames, films, revisits and the time that a frame takes."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.benchmark_revisit import Revisits, find_revisits
from worldmodel_env.evaluation.horizon import TOKENIZER
from worldmodel_env.evaluation.measure import Ceiling
from worldmodel_env.evaluation.metrics import WeightsMissing
from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.predictor import Predictor
from worldmodel_env.evaluation.probes.returns import Tolerance
from worldmodel_env.evaluation.protocol import PREDICTION, choose_episodes, clip_protocol
from worldmodel_env.evaluation.protocol_run import run_protocol
from worldmodel_env.evaluation.report import Report
from worldmodel_env.evaluation.samples import ModelSource

FRAMES = ("PSNR", "SSIM", "LPIPS")
SCORES = "scores.json"

Scores = dict[str, Any]
"""Plain JSON. `values`: metric -> number or None; `curves`: metric -> mean by horizon; `ceiling`:
what the tokenizer alone, or the simulator, gets."""


@dataclass(frozen=True)
class Protocol:
    """What is measured, of all models alike.

    Attributes:
        context: true frames given.
        horizon: frames predicted.
        episodes: predicted at most, the first test episodes by seed.
        films: measure FVD and KVD of context and prediction together.
        lags: least and largest number of frames between two visits of a place.
        revisits: clips with such a return, at most.
        timed: frames over which the time of one is taken.
    """

    context: int = 36
    horizon: int = 28
    episodes: int = 32
    films: bool = True
    lags: tuple[int, int] = (20, 50)
    revisits: int = 64
    timed: int = 8


class Examiner:
    """Scores predictors on one data set."""

    def __init__(
        self,
        protocol: Protocol,
        dataset: TrajectoryDataset,
        revisit: TrajectoryDataset,
        tolerance: Tolerance,
        ceiling: Ceiling,
        device: str,
    ) -> None:
        """Find the revisits.

        Args:
            protocol: what is measured.
            dataset: its test episodes are predicted.
            revisit: its test episodes are searched for returns.
            tolerance: which poses are one.
            ceiling: true frames (B, H, W, 3) through the tokenizer and back.
            device: where the metrics' networks run.
        """
        self.protocol, self.dataset, self.ceiling, self.device = protocol, dataset, ceiling, device
        self.parts = clip_protocol(dataset, protocol.context, protocol.horizon, film=protocol.films)
        length = protocol.context + protocol.horizon
        choose_episodes(dataset, "test", length, protocol.episodes)  # refuses what is too short
        self.unavailable: dict[str, str] = {}
        self.lpips: Lpips | None = None
        try:
            self.lpips = Lpips("alex").to(device)
        except WeightsMissing as missing:
            self.unavailable["LPIPS"] = str(missing)
        self.revisit_data = revisit.data_hash("test")
        self.revisits: Revisits | None = None
        try:
            self.revisits = find_revisits(
                revisit, "test", protocol.context, length, protocol.lags, tolerance,
                protocol.revisits,
            )  # fmt: skip
        except InputError as error:
            self.unavailable["revisit"] = str(error)

    def about(self) -> dict[str, Any]:
        """What must be known to repeat it, as plain JSON values."""
        found = self.revisits
        return {
            **asdict(self.protocol),
            "lags": list(self.protocol.lags),
            "data": self.dataset.data_hash("test"),
            "revisit_data": self.revisit_data,
            "returns": 0 if found is None else len(found.events),
            "revisit_clips": 0 if found is None else len(found.clips),
            "unavailable": self.unavailable,
        }

    def score(
        self,
        predictor: Callable[[int], Predictor],
        batch: int,
        out: Path,
        identity: Mapping[str, Any],
        seed: int,
    ) -> Scores:
        """Evaluate a model, or find what an earlier call with the same `identity` found.

        Args:
            predictor: the model, for a number of rows a call.
            batch: rows where it does not matter.
            out: folder of the report and the scores.
            identity: plain JSON values that tell this model from any other.
            seed: of the model's randomness.
        """
        path = out / SCORES
        decides = {"identity": dict(identity), "protocol": self.about(), "seed": seed}
        if path.exists() and (old := json.loads(path.read_text()))["decides"] == decides:
            return old["scores"]
        model, protocol = predictor(batch), self.protocol
        report = run_protocol(
            ModelSource(model), self.dataset, self.parts, out, identity=identity,
            episodes=protocol.episodes, seeds=(seed,), ceiling=self.ceiling, device=self.device,
        )  # fmt: skip
        scores = _scores(report, protocol)
        if self.revisits is not None:
            scores["values"] |= self.revisits.measure(model, self.lpips, seed)
            scores["ceiling"] |= self.revisits.ceiling(self.lpips)
        scores["values"]["seconds a frame"] = self._seconds(predictor(1))
        content = {"decides": decides, "scores": scores}
        replace_file(path, (json.dumps(content, indent=1) + "\n").encode())
        return scores

    def _seconds(self, predictor: Predictor) -> float:
        """Time of one more frame of one film: of this process's CPUs, or of the accelerator."""
        protocol = self.protocol
        context = min(protocol.context, 4)
        ref = choose_episodes(self.dataset, "test", context + 2 * protocol.timed, 1)[0]
        episode = self.dataset.read(ref, 0, context + 2 * protocol.timed)
        now = time.process_time if self.device == "cpu" else time.perf_counter

        def took(horizon: int) -> float:
            actions = episode.actions[None, : context - 1 + horizon]
            began = now()
            predictor.predict(
                episode.observations[None, :context], actions, horizon, np.zeros(1, np.int64)
            )
            return now() - began

        took(1)
        return max(0.0, (took(2 * protocol.timed) - took(protocol.timed)) / protocol.timed)


def _scores(report: Report, protocol: Protocol) -> Scores:
    section = report.sections[PREDICTION]
    values: dict[str, float | None] = {m: section.numbers[m].value for m in FRAMES}
    curves = {
        metric: list(line.mean)
        for metric in FRAMES
        for chart in section.charts
        for line in chart.lines
        if chart.title.startswith(metric) and line.name == report.model
    }
    if "LPIPS" in curves:
        values[f"LPIPS at {protocol.horizon}"] = curves["LPIPS"][-1]
    if "film" in report.sections:
        values |= {m: report.sections["film"].numbers[m].value for m in ("FVD", "KVD")}
    groups = section.details["groups"]
    ceiling = {
        metric: float(np.mean(groups[f"{metric.lower()}.{TOKENIZER}"]))
        for metric in FRAMES
        if f"{metric.lower()}.{TOKENIZER}" in groups
    }
    if "film" in report.sections:
        floor = report.sections["film"].details["floor"]
        ceiling |= {m: floor[m] for m in ("FVD", "KVD") if floor[m] is not None}
    return {"values": values, "curves": curves, "ceiling": ceiling}
