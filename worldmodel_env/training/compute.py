"""On what, and with how little memory, a training is computed."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from worldmodel_env.errors import InputError
from worldmodel_env.precision import Precision
from worldmodel_env.training.distributed import Mode


@dataclass(frozen=True)
class Compute:
    """How a training is computed; but for rounding, none of it changes what is learned.

    Attributes:
        device: "auto", "cpu", "cuda", ...
        precision: of the matrix work; parameters stay float32.
        accumulate: parts, one after another, into which each process divides its share of a batch.
        recompute: keep only the inputs of residual blocks and transformer layers for the backward
            pass, which computes them again: less memory, about a third more time.
        compile: fuse these blocks with torch.compile.
        distributed: whether the processes that torchrun started each hold the whole model (`ddp`)
            or a share of it (`fsdp`).
    """

    device: str = "auto"
    precision: Precision = "auto"
    accumulate: int = 1
    recompute: bool = False
    compile: bool = False
    distributed: Mode = "none"

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise InputError(f"accumulate is {self.accumulate}; give 1 or more.")


def prepare_blocks(blocks: Iterable[nn.Module], compute: Compute) -> None:
    """Compile and recompute the blocks of a model, as `compute` says.

    Their `forward` is replaced, not wrapped in modules: parameters keep their names, and hooks on
    the blocks (those of `fsdp`) stay outside.
    """
    for block in blocks:
        if compute.compile:
            block.forward = torch.compile(block.forward)  # type: ignore[method-assign]
        if compute.recompute:
            block.forward = partial(  # type: ignore[method-assign]
                checkpoint, block.forward, use_reentrant=False
            )
