"""Image metrics on uint8 frames: `psnr`, `ssim`, and `Lpips` in its own module.

All take frames (..., H, W, 3) and return one value per frame, (...,).
"""

from worldmodel_env.evaluation.metrics.psnr import PSNR_CAP, identical, psnr
from worldmodel_env.evaluation.metrics.ssim import ssim
from worldmodel_env.evaluation.metrics.weights import WeightsMissing

__all__ = ["PSNR_CAP", "WeightsMissing", "identical", "psnr", "ssim"]
