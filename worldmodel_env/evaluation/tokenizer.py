"""How well a tokenizer keeps frames, and how much of its codebook it uses."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.evaluation.metrics.psnr import psnr
from worldmodel_env.models.codebook import perplexity, share_used
from worldmodel_env.models.vqgan import Vqgan

BATCH = 64


@dataclass(frozen=True)
class TokenizerQuality:
    """What `measure_tokenizer` found.

    Attributes:
        psnr: dB, mean over frames.
        lpips: distance by the given network, mean over frames; None if there was none.
        codes_used: share of the codebook that occurs at least once, in (0, 1].
        perplexity: exp(entropy) of the codes' histogram, in [1, n_codes].
    """

    psnr: float
    lpips: float | None
    codes_used: float
    perplexity: float


@torch.no_grad()
def measure_tokenizer(
    model: Vqgan, frames: NDArray[np.uint8], lpips: Lpips | None = None
) -> tuple[TokenizerQuality, NDArray[np.uint8]]:
    """Encode and decode frames, and compare.

    Args:
        model: the tokenizer.
        frames: (N, R, R, 3). `codes_used` means little unless N * grid^2 is many times n_codes.
        lpips: the network of the perceptual distance, if wanted.

    Returns:
        The quality, and the reconstructions (N, R, R, 3).
    """
    place = model.codebook.weight.device
    grids, parts = [], []
    for chunk in torch.from_numpy(frames).split(BATCH):
        grids.append(model.encode(chunk.to(place)))
        parts.append(model.decode(grids[-1]).cpu().numpy())
    codes, decoded = torch.cat(grids), np.concatenate(parts)
    quality = TokenizerQuality(
        psnr=float(psnr(frames, decoded).mean()),
        lpips=None if lpips is None else float(lpips.distance(frames, decoded).mean()),
        codes_used=share_used(codes, model.cfg.n_codes),
        perplexity=float(perplexity(codes, model.cfg.n_codes)),
    )
    return quality, decoded
