"""Named configurations: tokenizer, world model and how both are trained."""

from dataclasses import dataclass

from worldmodel_env.errors import InputError
from worldmodel_env.models.actions import ActionConfig
from worldmodel_env.models.discriminator import DiscriminatorConfig
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.temporal import TemporalConfig
from worldmodel_env.models.vqgan import VqganConfig
from worldmodel_env.training.recipes import (
    GanTraining,
    LossConfig,
    Schedule,
    TecoTraining,
    VqganTraining,
)


@dataclass(frozen=True)
class Preset:
    """Everything that `worldmodel train` needs to know besides the data and the budget."""

    vqgan: VqganConfig
    vqgan_training: VqganTraining
    teco: TecoConfig
    teco_training: TecoTraining


def _maze() -> Preset:
    """The world that ships: sized for 2 CPU cores and 20 MB."""
    return Preset(
        vqgan=VqganConfig(
            patch=2, channels=64, multipliers=(1, 1, 2), blocks=1, attention=(),
            code_dim=8, l2_normalise=True,
        ),
        vqgan_training=VqganTraining(
            learning_rate=1e-3, betas=(0.9, 0.95), weight_decay=1e-4, l2_weight=1.0,
            perceptual_weight=0.2, perceptual_frames=4,
            codebook_weight=1.0, commitment_weight=0.25,
            gan=GanTraining(0.2, 0.6, 2e-4, DiscriminatorConfig(layers=2, channels=32)),
        ),
        teco=TecoConfig(
            code_grid=8, vq_dim=8, actions=ActionConfig("discrete", choices=(3,)),
            depths=(112, 160), encoder_blocks=1, decoder_blocks=2,
            embed_dim=96, n_codes=512, temporal_stride=2,
            temporal=TemporalConfig(256, 1024, 8, 3, "window", window=96),
            prior=PriorConfig(192, 768, 6, 3, vocab_dim=96),
            z_dropout=0.5, local_skip=True, code_noise=0.3, codebook_logits=True, reencode=True,
            recall=320,
        ),
        teco_training=TecoTraining(clip=112, batch_size=5, loss=LossConfig(drop_loss=0.75)),
    )  # fmt: skip


def _nano() -> Preset:
    """For tests: the same structure, trained in seconds, any action space."""
    return Preset(
        vqgan=VqganConfig(
            resolution=32, patch=2, channels=16, multipliers=(1, 2), blocks=1, attention=(),
            n_codes=64, code_dim=8, l2_normalise=True,
        ),
        vqgan_training=VqganTraining(
            batch_size=16, learning_rate=1e-3, l2_weight=1.0, perceptual="none",
            gan=GanTraining(discriminator=DiscriminatorConfig(layers=1, channels=8)),
            evaluate_every=100,
        ),
        teco=TecoConfig(
            code_grid=8, vq_codes=64, vq_dim=8, depths=(16, 24), encoder_blocks=1, decoder_blocks=1,
            embed_dim=16, n_codes=32, code_dim=8, temporal_stride=2, action_dim=8,
            temporal=TemporalConfig(32, 64, 2, 2, "window", window=6),
            prior=PriorConfig(32, 64, 2, 1, vocab_dim=16),
            z_dropout=0.5, local_skip=True, code_noise=0.3, codebook_logits=True, reencode=True,
        ),
        teco_training=TecoTraining(clip=9, batch_size=4, loss=LossConfig(drop_loss=0.5)),
    )  # fmt: skip


def _published(
    pixels: int,
    vq_codes: int,
    blocks: tuple[int, int],
    embed_dim: int,
    stride: int,
    temporal: TemporalConfig,
    prior: PriorConfig,
    *,
    n_codes: int = 1024,
    action_dropout: float = 0.0,
) -> Preset:
    """A configuration of the paper; widths and depths of its tokenizers were never published."""
    multipliers = (1, 2, 4) if pixels == 64 else (1, 1, 2, 4)  # to 16 x 16 codes either way
    return Preset(
        vqgan=VqganConfig(resolution=pixels, multipliers=multipliers, n_codes=vq_codes),
        vqgan_training=VqganTraining(),
        teco=TecoConfig(
            vq_codes=vq_codes, encoder_blocks=blocks[0], decoder_blocks=blocks[1],
            embed_dim=embed_dim, n_codes=n_codes, temporal_stride=stride,
            temporal=temporal, prior=prior,
        ),
        teco_training=TecoTraining(
            clip=temporal.window, learning_rate=1e-4, schedule=Schedule("cosine"),
            clip_norm=None, initial_weights="published", log_every=20,
            # Without rewards, as published: their loss would change what h learns.
            loss=LossConfig(action_dropout=action_dropout, outcome_weight=0.0),
        ),
    )  # fmt: skip


def _dmlab() -> Preset:
    return _published(
        64, 1024, (2, 4), 64, 8,
        TemporalConfig(1024, 4096, 16, 8), PriorConfig(512, 2048, 8, 8), action_dropout=0.5,
    )  # fmt: skip


def _minecraft() -> Preset:
    return _published(
        128, 1024, (4, 6), 128, 8,
        TemporalConfig(1024, 4096, 16, 12), PriorConfig(768, 3072, 12, 6),
    )  # fmt: skip


def _habitat() -> Preset:
    return _published(
        128, 8192, (4, 8), 256, 4,
        TemporalConfig(1024, 4096, 16, 8), PriorConfig(1024, 4096, 16, 16),
        n_codes=2048, action_dropout=0.5,
    )  # fmt: skip


def _kinetics600() -> Preset:
    return _published(
        128, 8192, (8, 10), 256, 2,
        TemporalConfig(1536, 6144, 24, 24, window=100), PriorConfig(1024, 4096, 16, 24),
    )  # fmt: skip


PRESETS = {
    "maze": _maze,
    "nano": _nano,
    "dmlab": _dmlab,
    "minecraft": _minecraft,
    "habitat": _habitat,
    "kinetics600": _kinetics600,
}


def load_preset(name: str) -> Preset:
    """The preset called `name`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is unknown; use one of {', '.join(PRESETS)}.")
    return PRESETS[name]()
