"""How each stage is trained: the numbers that are not part of a model."""

from dataclasses import dataclass, field
from typing import Literal

from worldmodel_env.errors import InputError
from worldmodel_env.models.discriminator import DiscriminatorConfig


@dataclass(frozen=True)
class Rhythm:
    """How often a training does something besides training.

    Attributes:
        log_every: steps between lines of metrics; longer trainings need fewer.
        evaluate_every: steps between evaluations on held-out data.
        checkpoint_seconds: seconds between checkpoints.
    """

    log_every: int = 1
    evaluate_every: int = 250
    checkpoint_seconds: float = 120.0


@dataclass(frozen=True)
class Schedule:
    """How the learning rate moves.

    Attributes:
        kind: `anneal` follows the budget, be it steps or minutes: a short warm-up, the peak until
            half of it is used, a cosine to zero at its end. `cosine`, the paper's, counts steps: a
            linear warm-up, then a cosine to zero at the last step.
        warmup_steps: of `cosine`.
        ends_early: `cosine` reaches zero `warmup_steps` before the last step and stays there, as
            the reference's does.
    """

    kind: Literal["anneal", "cosine"] = "anneal"
    warmup_steps: int = 5000
    ends_early: bool = False


@dataclass(frozen=True)
class GanTraining:
    """The adversarial part of a tokenizer's training.

    Attributes:
        weight: of the generator's gradient in the decoder's last layer, beside the gradient of
            the reconstruction losses; 0 trains without a discriminator.
        start: share of the budget after which it begins (the paper: after 10,000 steps). Before
            that a discriminator only learns that blurred frames are false. Once begun it goes on,
            whatever budget a resumed training gets.
        learning_rate: Adam's peak rate for the discriminator; its betas are 0.5 and 0.9.
        discriminator: its sizes.
    """

    weight: float = 0.8
    start: float = 0.5
    learning_rate: float = 1.44e-4
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)


@dataclass(frozen=True)
class VqganTraining(Rhythm):
    """How a tokenizer is trained; the defaults are the paper's where it has them.

    Attributes:
        batch_size: frames per step.
        learning_rate: AdamW's peak rate; the paper's 4.5e-6 for each frame of the batch.
        betas: of AdamW.
        weight_decay: of AdamW, on all parameters.
        clip_norm: largest norm of the gradient (the paper does not clip).
        l2_weight: of the mean squared error, beside the mean absolute error at weight 1.
        perceptual: the LPIPS network in the loss; `vgg` (the paper's) costs a frame about four
            times what the `maze` tokenizer itself does, `alex` a tenth of it.
        perceptual_weight: its weight.
        perceptual_frames: frames of each batch that it looks at; None for all.
        codebook_weight: of half the squared distance code -> latent, which pulls the codes; the
            paper's 1 is on the whole squared distance.
        commitment_weight: of half the squared distance latent -> code, which pulls the encoder;
            the paper's 0.25, likewise.
        gan: the adversarial part.
        average_decay: of the exponential mean of the weights, which is what is evaluated and used.
        restart_every: steps between restarts of unused codes, to the end: nothing else knows a
            tokenizer's codes by their numbers.
    """

    batch_size: int = 32
    learning_rate: float = 1.44e-4
    betas: tuple[float, float] = (0.5, 0.9)
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    l2_weight: float = 0.0
    perceptual: Literal["none", "alex", "vgg"] = "vgg"
    perceptual_weight: float = 1.0
    perceptual_frames: int | None = None
    codebook_weight: float = 2.0
    commitment_weight: float = 0.5
    gan: GanTraining = field(default_factory=GanTraining)
    average_decay: float = 0.999
    restart_every: int = 20
    evaluate_every: int = 500


@dataclass(frozen=True)
class LossConfig:
    """Which frames are decoded, and the weights of the terms.

    Attributes:
        drop_loss: share of frames on which decoder and prior, the dear parts, are skipped.
        drop_loss_frames: how the frames that are decoded are chosen. `per_clip`: another set for
            every clip, none twice. `shared_with_repeats`, the reference's: one set for the batch,
            drawn with replacement from one number too many, which counts as the last frame.
        actions_ahead: frames that the actions run ahead: with 1, the transition t to t+1 is given
            actions[t+1], as the reference trained on DMLab. 0 is right, and what imagination needs.
        self_resampling: share of the clips' frames that are replaced by the model's own
            predictions before it reads them (`training/self_resampling.py`); what is predicted
            stays the recording. It teaches a model to recover from its mistakes, in worlds where
            the recorded frame is still what must come next.
        label_smoothing: of the decoder's cross-entropy.
        action_dropout: share of clips whose actions are hidden.
        prior_weight: of the prior's cross-entropy (per latent position, times their number).
        commitment_weight: of the latent codebook's pull on the encoder.
        outcome_weight: of the reward and termination cross-entropies.
    """

    drop_loss: float = 0.9
    drop_loss_frames: Literal["per_clip", "shared_with_repeats"] = "per_clip"
    actions_ahead: int = 0
    self_resampling: float = 0.0
    label_smoothing: float = 0.01
    action_dropout: float = 0.0
    prior_weight: float = 1.0
    commitment_weight: float = 0.25
    outcome_weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a share that is none (InputError)."""
        if not 0 <= self.self_resampling <= 1:
            raise InputError(
                f"self_resampling is {self.self_resampling}; give a share from 0 to 1."
            )


@dataclass(frozen=True)
class TecoTraining(Rhythm):
    """How a world model is trained.

    Attributes:
        clip: frames per clip T; longer than the attention window, so that the model meets windows
            whose first frame is gone.
        batch_size: clips per step, over all processes and accumulated parts.
        carry: clips in a row, from step to step, that continue one another: what a row remembers is
            carried from each into the next, without gradient. 1: all clips begin anew.
        ends: share of the clips that show the last frames of an episode that terminated.
        learning_rate: AdamW's peak rate.
        rest_rate: share of it for all weights but the temporal transformer's attention and
            memories; 0 leaves those weights as they are. For longer and longer clips: what a frame
            looks like was learned before.
        schedule: how the rate moves.
        weight_decay: of AdamW, on all parameters.
        clip_norm: largest norm of the gradient; None to let it be, as the paper does.
        average_decay: of the exponential mean of the weights, which is then what is evaluated and
            used; 0 keeps none.
        restart_every: steps between restarts of unused latent codes, in the first half: the prior
            must still learn what the new ones mean.
        initial_weights: torch's defaults, or drawn as the reference draws them.
        loss: the terms.
    """

    clip: int = 300
    batch_size: int = 32
    carry: int = 1
    ends: float = 0.0
    learning_rate: float = 8e-4
    rest_rate: float = 1.0
    schedule: Schedule = field(default_factory=Schedule)
    weight_decay: float = 1e-5
    clip_norm: float | None = 50.0
    average_decay: float = 0.0
    restart_every: int = 20
    initial_weights: Literal["default", "published"] = "default"
    loss: LossConfig = field(default_factory=LossConfig)

    def __post_init__(self) -> None:
        """Refuse numbers without a meaning (InputError)."""
        if self.clip < 2:
            raise InputError(f"a clip is {self.clip} frames; give 2 or more.")
        if self.carry < 1:
            raise InputError(f"carry is {self.carry}; give 1 or more clips.")
        if not 0 <= self.ends <= 1:
            raise InputError(f"ends is {self.ends}; give a share from 0 to 1.")
        if self.ends and self.carry > 1:
            raise InputError(
                f"ends is {self.ends} and carry {self.carry}, but clips that continue one another "
                "go through whole episodes; give one of them."
            )
        if not 0 <= self.rest_rate <= 1:
            raise InputError(f"rest_rate is {self.rest_rate}; give a share from 0 to 1.")
