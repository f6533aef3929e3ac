"""What `worldmodel benchmark` trains, and how it is measured, by the name of a scale."""

from dataclasses import dataclass, replace

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.benchmark import Protocol
from worldmodel_env.models.baselines.latent_diffusion import LatentDiffusionConfig
from worldmodel_env.models.baselines.recurrent_latent import RecurrentLatentConfig
from worldmodel_env.models.baselines.space_time import SpaceTimeConfig
from worldmodel_env.models.prior import PriorConfig
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.models.teco import TecoConfig
from worldmodel_env.models.temporal import TemporalConfig
from worldmodel_env.presets import load_preset
from worldmodel_env.training.baseline import BaselineConfig, BaselineTraining
from worldmodel_env.training.recipes import LossConfig, Schedule, TecoTraining


@dataclass(frozen=True)
class TecoEntry:
    """TECO as it takes part.

    Attributes:
        config: grid, codes and actions are those of the tokenizer and the data.
        training: the recipe.
        sampling: how it draws frames.
    """

    config: TecoConfig
    training: TecoTraining
    sampling: Sampling


@dataclass(frozen=True)
class BaselineEntry:
    """A baseline as it takes part.

    Attributes:
        config: its `space` is that of the tokenizer and the data.
        training: the recipe.
    """

    config: BaselineConfig
    training: BaselineTraining


@dataclass(frozen=True)
class Suite:
    """A benchmark at one scale.

    Attributes:
        entries: models by name; each gets the same budget.
        protocol: what is measured.
    """

    entries: dict[str, TecoEntry | BaselineEntry]
    protocol: Protocol


def _small() -> Suite:
    """For 2 CPU cores: clips of 64 frames on 8 x 8 codes, models of 1 to 2 million parameters."""
    recipe = BaselineTraining(log_every=20, evaluate_every=1_000_000)
    teco = TecoConfig(
        depths=(64, 96), encoder_blocks=1, decoder_blocks=1, embed_dim=64, n_codes=256,
        temporal_stride=2, temporal=TemporalConfig(128, 512, 4, 3, "window", window=48),
        prior=PriorConfig(96, 384, 4, 3, vocab_dim=64),
        z_dropout=0.5, local_skip=True, code_noise=0.3, codebook_logits=True, reencode=True,
    )  # fmt: skip
    teco_recipe = TecoTraining(
        clip=64, batch_size=8, average_decay=0.995, loss=LossConfig(drop_loss=0.75),
        log_every=20, evaluate_every=1_000_000,
    )  # fmt: skip
    return Suite(
        {
            "teco": TecoEntry(teco, teco_recipe, Sampling(steps=0)),
            "recurrent_latent": BaselineEntry(
                RecurrentLatentConfig(temperature=0.0), replace(recipe, batch_size=4)
            ),
            "space_time": BaselineEntry(SpaceTimeConfig(), recipe),
            "latent_diffusion": BaselineEntry(LatentDiffusionConfig(), recipe),
        },
        Protocol(),
    )


def _nano() -> Suite:
    """For tests: everything, in seconds."""
    recipe = BaselineTraining(clip=10, batch_size=2)
    preset = load_preset("nano")
    return Suite(
        {
            "teco": TecoEntry(preset.teco, preset.teco_training, Sampling(steps=0)),
            "recurrent_latent": BaselineEntry(
                RecurrentLatentConfig(width=16, stochastic=4, action_dim=8, blocks=1), recipe
            ),
            "space_time": BaselineEntry(
                SpaceTimeConfig(window=3, dim=16, mlp_dim=32, heads=2, layers=1), recipe
            ),
            "latent_diffusion": BaselineEntry(
                LatentDiffusionConfig(window=2, width=16, blocks=1, action_dim=8, steps=2), recipe
            ),
        },
        Protocol(context=8, horizon=8, episodes=2, films=False, lags=(9, 15), revisits=2, timed=2),
    )


def _paper() -> Suite:
    """For accelerators: DMLab's 300 frames on 16 x 16 codes, TECO as published, 144 + 156 frames.

    The baselines have about as many parameters as TECO's 173 million and the windows of the
    models that the paper compared with. It has not been run.
    """
    preset = load_preset("dmlab")
    schedule = Schedule("anneal")  # by budget: nobody knows the steps before they are timed
    recipe = BaselineTraining(
        clip=300, batch_size=32, learning_rate=1e-4, average_decay=0.9999, log_every=100,
        evaluate_every=10_000,
    )  # fmt: skip
    teco_recipe = replace(
        preset.teco_training, schedule=schedule, average_decay=0.9999, log_every=100,
        evaluate_every=10_000,
    )  # fmt: skip
    return Suite(
        {
            "teco": TecoEntry(preset.teco, teco_recipe, Sampling(8, order="random", revisions=2)),
            "recurrent_latent": BaselineEntry(
                RecurrentLatentConfig(width=768, stochastic=32, blocks=4), recipe
            ),
            "space_time": BaselineEntry(
                SpaceTimeConfig(window=16, dim=1024, mlp_dim=4096, heads=16, layers=14, windows=1),
                recipe,
            ),
            "latent_diffusion": BaselineEntry(
                LatentDiffusionConfig(window=20, width=448, blocks=3, targets=4, steps=20), recipe
            ),
        },
        Protocol(context=144, horizon=156, episodes=256, lags=(20, 250), revisits=512, timed=16),
    )


SUITES = {"small": _small, "nano": _nano, "paper": _paper}


def load_suite(name: str) -> Suite:
    """The suite called `name`.

    Raises:
        InputError: there is none of that name.
    """
    if name not in SUITES:
        raise InputError(f"scale {name!r} is unknown; use one of {', '.join(SUITES)}.")
    return SUITES[name]()
