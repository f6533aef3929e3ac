"""How each stage is trained: the numbers that are not part of a model."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class VqganTraining:
    """How a tokenizer is trained.

    Attributes:
        batch_size: frames per step.
        learning_rate: AdamW's peak rate.
        weight_decay: of AdamW, on all parameters.
        clip_norm: largest norm of the gradient.
        perceptual: the LPIPS network in the loss; `alex` costs a quarter of the model on a CPU,
            `vgg` (the paper's) five times the model.
        perceptual_weight: its weight beside the L1 and L2 terms.
        commitment_weight: pulls latents to their codes.
        restart_every: steps between restarts of unused codes.
        evaluate_every: steps between evaluations on held-out frames.
        checkpoint_seconds: seconds between checkpoints.
    """

    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    perceptual: Literal["none", "alex", "vgg"] = "alex"
    perceptual_weight: float = 0.3
    commitment_weight: float = 0.25
    restart_every: int = 20
    evaluate_every: int = 250
    checkpoint_seconds: float = 120.0


@dataclass(frozen=True)
class LossConfig:
    """Which frames are decoded, and the weights of the terms.

    Attributes:
        drop_loss: share of frames on which decoder and prior, the dear parts, are skipped.
        label_smoothing: of the decoder's cross-entropy.
        action_dropout: share of clips whose actions are hidden.
        prior_weight: of the prior's cross-entropy (per latent position, times their number).
        commitment_weight: of the latent codebook's pull on the encoder.
        outcome_weight: of the reward and termination cross-entropies.
    """

    drop_loss: float = 0.9
    label_smoothing: float = 0.01
    action_dropout: float = 0.0
    prior_weight: float = 1.0
    commitment_weight: float = 0.25
    outcome_weight: float = 1.0


@dataclass(frozen=True)
class TecoTraining:
    """How a world model is trained.

    Attributes:
        clip: frames per clip T; longer than the attention window, so that the model meets windows
            whose first frame is gone.
        batch_size: clips per step.
        learning_rate: AdamW's peak rate.
        weight_decay: of AdamW, on all parameters.
        clip_norm: largest norm of the gradient.
        restart_every: steps between restarts of unused latent codes, in the first half.
        evaluate_every: steps between evaluations on held-out clips.
        checkpoint_seconds: seconds between checkpoints.
        loss: the terms.
    """

    clip: int = 300
    batch_size: int = 32
    learning_rate: float = 8e-4
    weight_decay: float = 1e-5
    clip_norm: float = 50.0
    restart_every: int = 20
    evaluate_every: int = 250
    checkpoint_seconds: float = 120.0
    loss: LossConfig = field(default_factory=LossConfig)
