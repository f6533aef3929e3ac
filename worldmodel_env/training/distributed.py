"""Several processes that train as one.

    torchrun --nproc-per-node N -m worldmodel_env.cli train teco --distributed ddp ...

Every process knows the whole batch (its clips, its random numbers) and computes the share of the
loss that its rows contribute; shares add up to the loss that one process would compute. What the
processes do is therefore what one does, however many there are.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from worldmodel_env.errors import InputError

Mode = Literal["none", "ddp", "fsdp"]

# Processes may wait for the first one while it encodes a data set or evaluates.
PATIENCE = timedelta(hours=24)


@dataclass(frozen=True)
class Team:
    """The processes of a training, seen from one of them.

    Attributes:
        mode: `ddp` gives each process a whole model, `fsdp` a share of every tensor.
        rank: which process this is, from 0.
        size: how many there are.
    """

    mode: Mode = "none"
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes logs, pictures and worlds."""
        return self.rank == 0

    def rows(self, batch: int, parts: int) -> list[slice]:
        """This process's rows of a batch, in `parts` equal parts, one after another.

        Raises:
            InputError: the batch cannot be divided evenly.
        """
        shares = self.size * parts
        if batch % shares:
            raise InputError(
                f"a batch of {batch} cannot be divided among {self.size} processes x {parts} "
                f"accumulated parts; make their product a divisor of {batch}."
            )
        width = batch // shares
        first = self.rank * parts
        return [slice(i * width, (i + 1) * width) for i in range(first, first + parts)]

    def total(self, values: Tensor) -> Tensor:
        """The sum of all processes' values."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean of all processes' values."""
        return self.total(values) / self.size

    def average_gradients(self, module: nn.Module) -> None:
        """Give every process the mean of all gradients of a module that `wrap` has not seen."""
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        if self.size > 1:
            flat = self.mean(torch.cat([g.flatten() for g in gradients]))
            parts = flat.split([g.numel() for g in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def largest(self, value: float) -> float:
        """The maximum over the processes, of a clock or a flag, so that all decide alike."""
        if self.size == 1:
            return value
        place = "cuda" if dist.get_backend() == "nccl" else "cpu"
        shared = torch.tensor(value, dtype=torch.float64, device=place)
        dist.all_reduce(shared, dist.ReduceOp.MAX)
        return shared.item()

    def gather(self, rows: Tensor) -> Tensor:
        """All processes' rows (N, ...), in the order of their ranks; each may have another N."""
        if self.size == 1:
            return rows
        counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(self.size)]
        dist.all_gather(counts, torch.tensor(len(rows), device=rows.device))
        longest = max(int(n) for n in counts)
        rows = F.pad(rows, [0] * (2 * rows.ndim - 1) + [longest - len(rows)])
        pieces = [torch.empty_like(rows) for _ in counts]
        dist.all_gather(pieces, rows)
        return torch.cat([piece[: int(n)] for piece, n in zip(pieces, counts, strict=True)])

    def wait(self) -> None:
        """Go on when all processes have come here."""
        if self.size > 1:
            dist.barrier()

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The first process runs the block; when it is done, the others run it."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wrap(self, loss: nn.Module, blocks: Sequence[nn.Module]) -> nn.Module:
        """Make the backward pass of `loss`, whose forward returns it, train the whole team.

        Gradients are averaged over the processes: scale each one's share by `size`.

        Args:
            loss: a module around the model.
            blocks: submodules of the model whose tensors `fsdp` gathers only while they are used.
        """
        if self.mode == "ddp":
            return DistributedDataParallel(loss)
        if self.mode == "fsdp":
            for block in blocks:
                fully_shard(block)
            fully_shard(loss)
        return loss

    def gradients(self, loss: nn.Module, *, final: bool) -> AbstractContextManager[None]:
        """Context of a forward and backward pass of the wrapped `loss`.

        Of the passes whose gradients accumulate, only the `final` one waits for other processes.
        """
        if final or not isinstance(loss, DistributedDataParallel):
            return nullcontext()
        return loss.no_sync()


ALONE = Team()


@contextmanager
def join(mode: Mode, device: torch.device) -> Iterator[Team]:
    """Join the other processes that torchrun has started, until the block ends.

    Args:
        mode: how to share the work.
        device: cpu or cuda; of several CUDA devices each process takes its own.

    Raises:
        InputError: torchrun was used without `mode`, or `mode` without torchrun.
    """
    size = int(os.environ.get("WORLD_SIZE", "0"))
    if mode == "none":
        if size > 1:
            raise InputError(
                f"torchrun started {size} processes that would train apart; add --distributed ddp."
            )
        yield ALONE
        return
    if not size:
        raise InputError(
            f"--distributed {mode} needs several processes; start it as "
            "`torchrun --nproc-per-node N -m worldmodel_env.cli train ...`."
        )
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Team(mode, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def process_count() -> int:
    """How many processes torchrun started, this one included; 1 without it."""
    return max(1, int(os.environ.get("WORLD_SIZE", "1")))


def is_leader() -> bool:
    """Whether torchrun made this the first process, or nothing did."""
    return os.environ.get("RANK", "0") == "0"


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together (every process must ask), any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@contextmanager
def whole_parameters(module: nn.Module) -> Iterator[None]:
    """Inside, the module's own parameters are whole tensors; changes made to them are kept.

    For code that treats parameters as numbers, such as the upkeep of a codebook. All processes
    must make the same changes.
    """
    shared = dict(module.named_parameters(recurse=False))
    for name, parameter in shared.items():
        module._parameters[name] = nn.Parameter(whole(parameter.detach()))
    try:
        yield
    finally:
        for name, parameter in shared.items():
            changed = module._parameters[name]
            module._parameters[name] = parameter
            if isinstance(parameter, DTensor) and changed is not None:
                mesh, placements = parameter.device_mesh, parameter.placements
                with torch.no_grad():
                    parameter.copy_(distribute_tensor(changed.detach(), mesh, placements))
