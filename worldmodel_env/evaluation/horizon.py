"""How good predicted frames are, by how far ahead they lie, beside the simplest baseline."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.bootstrap import CONFIDENCE, RESAMPLES, Interval, mean_interval
from worldmodel_env.evaluation.metrics import PSNR_CAP, WeightsMissing, identical, psnr, ssim
from worldmodel_env.evaluation.metrics.lpips import Lpips

METRICS = ("psnr", "ssim", "lpips")
WORLD, COPY_LAST, TOKENIZER = "world", "copy_last", "tokenizer"


@dataclass(frozen=True)
class HorizonReport:
    """Metrics of each series (world, copy_last, tokenizer) at horizons 1..K.

    Attributes:
        episodes: N, how many episodes each mean is over.
        frame: (H, W), the size at which frames were compared.
        seed: of the bootstrap.
        curves: series -> metric -> interval of arrays (K,). A metric that could not be measured
            is absent.
        identical: series -> how many of the N*K frames equal the true one in every byte; each
            counts `PSNR_CAP` dB.
        unavailable: metric -> why it was not measured.
    """

    episodes: int
    frame: tuple[int, int]
    seed: int
    curves: dict[str, dict[str, Interval]]
    identical: dict[str, int]
    unavailable: dict[str, str]

    @property
    def horizons(self) -> np.ndarray:
        """1..K int64: the first predicted frame has horizon 1."""
        return np.arange(1, len(self.curves[WORLD]["psnr"].mean) + 1)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values; a metric that could not be measured is None."""
        return {
            "episodes": self.episodes,
            "horizons": self.horizons.tolist(),
            "definitions": {
                "psnr": f"dB, mean over frames, each at most {PSNR_CAP:g}",
                "ssim": "Gaussian 11x11, sigma 1.5, valid region, mean over RGB",
                "lpips": "alex, v0.1, at {}x{} pixels".format(*self.frame),
                "interval": f"{CONFIDENCE:.0%}, bootstrap of {RESAMPLES} over episodes, "
                f"seed {self.seed}",
            },
            "curves": {
                series: {
                    metric: _rounded(curves[metric]) if metric in curves else None
                    for metric in METRICS
                }
                for series, curves in self.curves.items()
            },
            "identical_frames": self.identical,
            "unavailable": self.unavailable,
        }

    def save(self, path: Path) -> None:
        """Write `as_dict` as JSON, atomically."""
        replace_file(path, (json.dumps(self.as_dict(), indent=1) + "\n").encode())


def evaluate_horizons(
    true: np.ndarray,
    predicted: np.ndarray,
    last: np.ndarray,
    *,
    ceiling: np.ndarray | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> HorizonReport:
    """Compare predicted frames with the true ones, horizon by horizon.

    Args:
        true: frames (N, K, H, W, 3) uint8 that followed the context.
        predicted: frames of the same shape, imagined with the same actions.
        last: the last frame of each context (N, H, W, 3) uint8, the baseline's only answer.
        ceiling: the true frames through the tokenizer and back, of the same shape: no world built
            on it can do better by much.
        device: where LPIPS runs.
        seed: of the bootstrap.

    Raises:
        InputError: shapes or dtypes do not fit, or there are no frames.
    """
    if true.ndim != 5 or last.shape != true.shape[:1] + true.shape[2:] or not true.size:
        raise InputError(
            f"Horizons got true frames {true.shape} and last context frames {last.shape} where "
            f"(N, K, H, W, 3) and (N, H, W, 3) were expected, none of them 0: evaluate at least "
            f"one episode and one horizon."
        )
    series = {
        WORLD: predicted,
        COPY_LAST: np.broadcast_to(last[:, None], true.shape),
        **({} if ceiling is None else {TOKENIZER: ceiling}),
    }
    lpips, unavailable = None, {}
    try:
        lpips = Lpips("alex").to(device)
    except WeightsMissing as missing:
        unavailable["lpips"] = str(missing)
    return HorizonReport(
        episodes=len(true),
        frame=(true.shape[2], true.shape[3]),
        seed=seed,
        curves={
            name: {m: mean_interval(v, seed=seed) for m, v in measure(true, other, lpips).items()}
            for name, other in series.items()
        },
        identical={name: int(identical(true, other).sum()) for name, other in series.items()},
        unavailable=unavailable,
    )


def measure(true: np.ndarray, other: np.ndarray, lpips: Lpips | None) -> dict[str, np.ndarray]:
    """Each metric of each frame: name -> (...) float64, for frames (..., H, W, 3) uint8."""
    values = {"psnr": psnr(true, other), "ssim": ssim(true, other)}
    return values if lpips is None else {**values, "lpips": lpips.distance(true, other)}


def _rounded(interval: Interval) -> dict[str, list[float]]:
    return {name: np.round(getattr(interval, name), 6).tolist() for name in ("mean", "low", "high")}
