"""The tokenizer's losses (Esser et al. 2021, equations 4 to 7; Isola et al. 2017 for the judge)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.evaluation.metrics.lpips import Lpips
from worldmodel_env.models.discriminator import Discriminator
from worldmodel_env.models.vqgan import Vqgan
from worldmodel_env.training.recipes import VqganTraining


def vqgan_losses(
    model: Vqgan,
    x: Tensor,
    lpips: Lpips | None,
    discriminator: Discriminator | None,
    training: VqganTraining,
    mean: Callable[[Tensor], Tensor] = lambda x: x,
) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """What the tokenizer minimises on one batch.

    Args:
        model: the tokenizer.
        x: frames (B, 3, R, R) in [-1, 1].
        lpips: the perceptual network, or None.
        discriminator: the judge to convince, or None while there is none; it gets no gradient.
        training: the weights of the terms.
        mean: over the processes among which a batch is divided.

    Returns:
        Scalars by name, with `loss`, whose gradient trains the tokenizer; the codes
        (B, grid, grid); the reconstruction (B, 3, R, R), detached.
    """
    reconstruction, quantised = model(x)
    reconstruction = reconstruction.float()
    losses = {
        "l1": (reconstruction - x).abs().mean(),
        "l2": (reconstruction - x).square().mean(),
        "commitment": quantised.commitment.mean(),
        "codebook": quantised.codebook.mean(),
    }
    total = losses["l1"] + training.l2_weight * losses["l2"]
    if lpips is not None:
        some = _spread(len(x), training.perceptual_frames)
        losses["lpips"] = lpips(reconstruction[some], x[some]).mean()
        total = total + training.perceptual_weight * losses["lpips"]
    if discriminator is not None:
        losses["generator"] = -discriminator(reconstruction).float().mean()
        total, losses["generator_weight"] = balance(
            total,
            losses["generator"],
            reconstruction,
            model.decoder.last.weight,
            training.gan.weight,
            mean,
        )
    total = total + training.codebook_weight * losses["codebook"]
    total = total + training.commitment_weight * losses["commitment"]
    return {"loss": total, **losses}, quantised.codes, reconstruction.detach()


def balance(
    reconstruction_loss: Tensor,
    generator_loss: Tensor,
    reconstruction: Tensor,
    last_weight: Tensor,
    weight: float,
    mean: Callable[[Tensor], Tensor] = lambda x: x,
) -> tuple[Tensor, Tensor]:
    """Add the generator's loss at a weight that keeps it from drowning the reconstruction.

    The weight is `weight` times the ratio of the two losses' gradient norms in the decoder's last
    layer (Esser et al. 2021, equation 7).

    Args:
        reconstruction_loss: scalar, a function of `reconstruction`; its graph is consumed.
        generator_loss: scalar, likewise.
        reconstruction: (B, 3, R, R) float32.
        last_weight: weights of the layer that made it.
        weight: of the generator's gradient beside the reconstruction's.
        mean: over the processes among which a batch is divided.

    Returns:
        The sum, whose gradient reaches what made `reconstruction`; and the weight, both scalars.
    """
    # Both losses are differentiated once, down to the pixels. From there the way to the last layer
    # is short; each loss's own way, through VGG or the discriminator, costs more than the model.
    (pull,) = torch.autograd.grad(reconstruction_loss, reconstruction)
    (push,) = torch.autograd.grad(generator_loss, reconstruction)
    norms = [
        mean(torch.autograd.grad(reconstruction, last_weight, g, retain_graph=True)[0]).norm()
        for g in (pull, push)
    ]
    adaptive = weight * (norms[0] / (norms[1] + 1e-4)).clamp(0.0, 1e4)
    value = reconstruction_loss.detach() + adaptive * generator_loss.detach()
    carrier = (reconstruction * (pull + adaptive * push)).sum()
    return value + carrier - carrier.detach(), adaptive


def discriminator_losses(
    discriminator: Discriminator, real: Tensor, reconstruction: Tensor
) -> dict[str, Tensor]:
    """What the discriminator minimises: the hinge loss.

    Args:
        discriminator: the judge.
        real: frames (B, 3, R, R) in [-1, 1].
        reconstruction: the tokenizer's, detached.

    Returns:
        Scalars: `discriminator`, the loss, 1 for a judge that knows nothing and 0 for one that is
        sure; the mean verdicts `verdict_real` and `verdict_fake`.
    """
    judged = discriminator(torch.cat([real, reconstruction])).float()
    on_real, on_fake = judged.chunk(2)
    return {
        "discriminator": 0.5 * (F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()),
        "verdict_real": on_real.mean(),
        "verdict_fake": on_fake.mean(),
    }


def _spread(batch: int, frames: int | None) -> list[int]:
    """`frames` of a batch, evenly spaced: neighbours come from the same few seconds of play."""
    count = batch if frames is None else min(frames, batch)
    return [i * batch // count for i in range(count)]
