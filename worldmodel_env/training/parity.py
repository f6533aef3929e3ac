"""Is this TECO the published one? Its numbers beside those of the JAX reference, stage by stage.

The whole model runs end to end on the file's clips, through `encode`, which training uses as well;
only the prior is given the file's own h, because its masked codes belong to that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from worldmodel_env.data.clips import Clips
from worldmodel_env.errors import InputError
from worldmodel_env.models.reference import load_reference, reference_heads
from worldmodel_env.models.teco import Teco
from worldmodel_env.training.encoded import Encoded, encode
from worldmodel_env.training.parity_file import ParityFile
from worldmodel_env.training.recipes import LossConfig

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Stage:
    """The largest absolute difference at one stage, and the one allowed."""

    name: str
    difference: float
    allowed: float

    @property
    def ok(self) -> bool:
        """Whether it is small enough; NaN is not."""
        return self.difference <= self.allowed


@dataclass(frozen=True)
class Parity:
    """All stages, in the order of computation."""

    stages: tuple[Stage, ...]

    @property
    def ok(self) -> bool:
        """Whether every stage agrees."""
        return all(stage.ok for stage in self.stages)

    def __str__(self) -> str:
        lines = [f"{'stage':20s} {'difference':>10s} {'allowed':>10s}"]
        for stage in self.stages:
            mark = "" if stage.ok else "  DIFFERS"
            lines.append(f"{stage.name:20s} {stage.difference:10.1e} {stage.allowed:10.1e}{mark}")
        return "\n".join(lines)


def check_parity(
    path: Path, *, temporal_heads: int | None = None, maskgit_heads: int | None = None
) -> Parity:
    """Compare with what the reference wrote, in float32 on the CPU.

    Args:
        path: a parity file.
        temporal_heads: attention heads of the temporal transformer; the parameters' if not given.
        maskgit_heads: attention heads of the prior; likewise.

    Raises:
        InputError: the file cannot be read, or an array is missing, unknown, misshapen or out of
            range; the message names it.
    """
    file = ParityFile(path)
    found = reference_heads(file.arrays)
    predicted = file.floats("out/deter", None, None, None, None, None).shape[1]
    model = load_reference(
        file.arrays,
        temporal_heads=found[0] if temporal_heads is None else temporal_heads,
        maskgit_heads=found[1] if maskgit_heads is None else maskgit_heads,
        window=predicted + 1,  # all frames of a clip
    )
    with torch.inference_mode():
        return Parity(tuple(_stages(model, file)))


def _stages(model: Teco, file: ParityFile) -> Iterator[Stage]:
    cfg = model.cfg
    model.code_vectors.copy_(file.floats("in/vq_table", cfg.vq_codes, cfg.vq_dim))
    clips, known = _clips(model, file)
    b, t = clips.codes.shape[:2]
    latent = (cfg.grid, cfg.grid, cfg.embed_dim)

    first = model.vectors(clips.codes[:, 0])
    cond = model.encoder(model.encoder.start.expand_as(first), first).permute(0, 2, 3, 1)
    yield _compare("cond", (cond[:, None], file.floats("out/cond", b, 1, *latent)))

    encoded = encode(model, clips, known)
    z = encoded.z.permute(0, 2, 3, 1).unflatten(0, (b, t - 1))
    h = encoded.h.permute(0, 2, 3, 1).unflatten(0, (b, t - 1))
    codes = encoded.z_codes.unflatten(0, (b, t - 1))
    wanted = file.integers("out/z_codes", 0, cfg.n_codes - 1, b, t - 1, cfg.grid, cfg.grid)
    yield _compare("z codes", (codes, wanted))
    yield _compare("z embeddings", (z, file.floats("out/z_embeddings", b, t - 1, *latent)))
    commitment = LossConfig().commitment_weight * encoded.losses["commitment"]
    yield _compare(
        "VQ losses",
        (commitment, file.floats("out/commitment_loss")),
        (encoded.losses["codebook"], file.floats("out/codebook_loss")),
    )
    yield _compare("deter", (h, file.floats("out/deter", b, t - 1, *latent)))

    yield _prior(model, file)
    yield from _decoder(model, file, encoded, (b, t - 1))


def _prior(model: Teco, file: ParityFile) -> Stage:
    cfg = model.cfg
    masked = file.integers("out/git_in", -1, cfg.n_codes - 1, None, cfg.grid, cfg.grid)
    h = file.floats("out/git_cond", len(masked), cfg.grid, cfg.grid, cfg.embed_dim)
    logits = model.prior(masked.where(masked >= 0, cfg.n_codes), h.permute(0, 3, 1, 2))
    wanted = file.floats("out/git_logits", len(masked), cfg.grid, cfg.grid, cfg.n_codes)
    return _compare("MaskGit logits", (logits.view_as(wanted), wanted))


def _decoder(
    model: Teco, file: ParityFile, encoded: Encoded, frames: tuple[int, int]
) -> Iterator[Stage]:
    """Of the (B, T-1) predicted frames."""
    cfg = model.cfg
    h, skip = model.predict(encoded.h, encoded.previous, encoded.action)
    logits = model.decode(h, encoded.z, skip)
    shape = (*frames, cfg.code_grid, cfg.code_grid, cfg.vq_codes)
    wanted = file.floats("out/recon_logits", *shape)
    yield _compare("decoder logits", (logits.view_as(wanted), wanted))
    losses = F.cross_entropy(
        logits.flatten(0, 2),
        encoded.target.flatten(),
        label_smoothing=LossConfig().label_smoothing,
        reduction="none",
    )
    loss, wanted = losses.double().sum() / len(encoded.target), file.floats("out/recon_loss")
    # From 1024 on, neighbouring float32 numbers lie further apart than the tolerance, and the
    # reference sums in float32: up to 2.4 of them away from the loss of its own logits.
    rounding = 4 * float(np.spacing(wanted.abs().numpy()))
    yield _compare("reconstruction loss", (loss, wanted), allowed=max(TOLERANCE, rounding))


def _compare(name: str, *pairs: tuple[Tensor, Tensor], allowed: float = TOLERANCE) -> Stage:
    """Of our tensors with theirs."""
    differences = [float((ours.double() - theirs.double()).abs().max()) for ours, theirs in pairs]
    return Stage(name, float(np.max(differences)), allowed)  # NaN stays NaN


def _clips(model: Teco, file: ParityFile) -> tuple[Clips, Tensor]:
    """The file's clips, and which of their actions are known (B, T-1)."""
    cfg = model.cfg
    assert cfg.actions is not None
    (count,) = cfg.actions.choices
    codes = file.integers("in/codes", 0, cfg.vq_codes - 1, None, None, cfg.code_grid, cfg.code_grid)
    b, t = codes.shape[:2]
    if t < 2:
        raise InputError(f"in/codes in {file.path} has clips of 1 frame; write 2 or more.")
    # There actions[t] has led to frame t; "none" is -1, or the number of the table's last row.
    actions = file.integers("in/actions", -1, count, b, t)[:, 1:]
    known = (actions >= 0) & (actions < count)
    clips = Clips(
        codes=codes,
        actions=actions.where(known, 0),
        rewards=torch.zeros(b, t - 1),
        terminations=torch.zeros(b, t - 1, dtype=torch.bool),
        valid=torch.ones(b, t, dtype=torch.bool),
    )
    return clips, known
