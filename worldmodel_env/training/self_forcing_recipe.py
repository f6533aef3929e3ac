"""What `worldmodel train selfforcing` does to a world: switches, each by itself or with others."""

from dataclasses import dataclass, field, replace
from typing import Literal

from worldmodel_env.errors import InputError
from worldmodel_env.imagination.world import World
from worldmodel_env.models.critic import CriticConfig
from worldmodel_env.models.sampling import Sampling
from worldmodel_env.training.recipes import Schedule, TecoTraining

DRAFT_AND_REVISE = Sampling(8, order="random", revisions=2)
"""The paper's way to draw from a prior: 24 passes."""


@dataclass(frozen=True)
class SelfForcing:
    """The switches, all off, and their details.

    Attributes:
        resampling: share of the recorded clips' frames that are replaced by predictions of the
            model (`training/self_resampling.py`), reached at half of the training.
        self_rollout: K, the most frames that the model imagines before it is told what comes next;
            each step draws how many, from 1.
        distribution_matching: weight of the loss by which imagined windows become as likely as
            recorded ones, for worlds where chance decides what comes next.
        distil: passes over a frame that the prior shall need, by learning from its own draws in
            many passes.
        anchor: share of the loss that stays on recorded clips, beside `self_rollout`.
        agreement: how near each frame that the model has imagined so far must be to the recorded
            one, 1 being the same and 0 any, or what was recorded next does not follow.
        teacher: how `distil` draws what is learned: by `draft-and-revise`, 24 passes, or as the
            world is `served` now.
        distilled_frames: of each batch.
        critic: sizes of the two critics of `distribution_matching`.
        critic_steps: by which the one that knows the recordings is trained, before all else.
        critic_updates: of the other, for each of the world's.
        critic_rate: learning rate of both.
    """

    resampling: float = 0.0
    self_rollout: int = 0
    distribution_matching: float = 0.0
    distil: int = 0
    anchor: float = 0.5
    agreement: float = 0.5
    teacher: Literal["draft-and-revise", "served"] = "draft-and-revise"
    distilled_frames: int = 32
    critic: CriticConfig = field(default_factory=CriticConfig)
    critic_steps: int = 1000
    critic_updates: int = 5
    critic_rate: float = 3e-4

    def __post_init__(self) -> None:
        """Refuse values out of range, or nothing to do (InputError)."""
        for names, least in (
            (("self_rollout", "distribution_matching", "distil"), 0),
            (("distilled_frames", "critic_steps", "critic_updates"), 1),
        ):
            for name in names:
                if not getattr(self, name) >= least:
                    raise InputError(f"{name} is {getattr(self, name)}; give {least} or more.")
        for name, low in (("resampling", 0.0), ("agreement", 0.0), ("anchor", 0.5)):
            if not low <= (value := getattr(self, name)) <= 1:
                raise InputError(f"{name} is {value}; give a share from {low:g} to 1.")
        if not (self.teacher_forced or self.distil):
            raise InputError(
                "self-forcing has nothing to do; give at least one of --resampling, "
                "--self-rollout, --distribution-matching and --distil."
            )

    @property
    def teacher_forced(self) -> bool:
        """Whether the whole model learns, recorded clips included, not its prior alone."""
        return bool(self.resampling or self.self_rollout or self.distribution_matching)

    @property
    def imagined(self) -> int:
        """The most frames that a step imagines one after another."""
        return self.self_rollout + self.critic.frames * bool(self.distribution_matching)

    def sampling(self, world: World) -> Sampling:
        """How frames are drawn in training and by the world afterwards."""
        served = replace(world.config.sampling, refill=0)
        return replace(served, steps=self.distil, revisions=0) if self.distil else served

    def teaching(self, world: World) -> Sampling:
        """How `distil` draws what is to be learned."""
        served = replace(world.config.sampling, refill=0)
        if self.teacher == "served":
            return served
        return replace(DRAFT_AND_REVISE, temperature=served.temperature, top_k=served.top_k)

    def check(self, world: World, clip: int) -> None:
        """Refuse what a world, or clips of `clip` frames, cannot serve.

        Raises:
            InputError: the model does not read frames again, has no prior of the kind, or is not
                asked for it; the roll-outs are longer than the clips.
        """
        teco, sampling, name = world.config.teco, world.config.sampling, f"world {world.name!r}"
        if (self.resampling or self.self_rollout or self.distribution_matching) and (
            not teco.reencode
        ):
            raise InputError(
                f"{name} does not read its frames again (TecoConfig.reencode is off), so its "
                "past would not be what it imagines; give --distil alone or another world."
            )
        if self.imagined + 2 > clip:
            raise InputError(
                f"roll-outs of {self.imagined} frames between a recorded frame and the next do "
                f"not fit into clips of {clip}; give a smaller --self-rollout or a longer --clip."
            )
        if teco.temporal.positions == "absolute" and clip > teco.temporal.window:
            raise InputError(
                f"clips of {clip} frames are longer than the {teco.temporal.window} that {name} "
                "has positions for; give a shorter --clip."
            )
        asks = "--distil" if self.distil else "--distribution-matching"
        if not (self.distil or self.distribution_matching):
            return
        if teco.prior.kind != "maskgit":
            raise InputError(
                f"{name} has a prior of kind {teco.prior.kind!r}; {asks} needs maskgit."
            )
        if not sampling.steps:
            raise InputError(
                f"{name} asks its prior nothing (sampling.steps is 0); {asks} needs a world whose "
                "prior draws its frames."
            )
        passes = self.teaching(world).passes
        if self.distil >= passes:
            raise InputError(
                f"distil is {self.distil} passes, but what it learns from takes {passes}; give "
                "fewer."
            )


def afterwards(
    training: TecoTraining,
    *,
    clip: int | None = None,
    learning_rate: float | None = None,
    average_decay: float | None = None,
) -> TecoTraining:
    """The recipe for going on after `training`.

    Unless something else is given, at an eighth of its learning rate, with an exponential mean of
    the weights over about 100 steps. The rate anneals inside the budget.
    """
    return replace(
        training,
        clip=training.clip if clip is None else clip,
        learning_rate=training.learning_rate / 8 if learning_rate is None else learning_rate,
        average_decay=0.99 if average_decay is None else average_decay,
        schedule=Schedule(),
    )
