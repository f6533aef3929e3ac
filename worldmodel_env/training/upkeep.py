"""Codebooks collapse easily early in training: they start from data, and unused codes move."""

import torch
from torch import Tensor

from worldmodel_env.models.codebook import Codebook
from worldmodel_env.training.distributed import whole_parameters


@torch.no_grad()
def renew_codes(
    codebook: Codebook,
    average: Tensor | None,
    latents: Tensor,
    generator: torch.Generator,
    *,
    first: bool,
) -> None:
    """Place all codes on data the `first` time, later those that hardly any latent chooses.

    Args:
        codebook: its weights are changed.
        average: of its weights over training, if one is kept.
        latents: (N, D) inputs of the codebook, of the whole batch.
        generator: draws among them.
        first: whether this starts the codebook.
    """
    before = codebook.weight.detach().clone()
    with whole_parameters(codebook):
        if first:
            codebook.initialise(latents, generator)
        else:
            codebook.restart_dead(latents, generator)
    if average is not None:
        # Where a code was before it moved says nothing about where it belongs.
        moved = (codebook.weight != before).any(1, keepdim=True)
        average.copy_(torch.where(moved, codebook.weight, average))
