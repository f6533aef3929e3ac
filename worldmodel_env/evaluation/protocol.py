"""What is predicted from what: TECO's long-horizon protocol, or a clip of any length.

TECO (arXiv 2210.02396) measures frames and films apart. Frame by frame, with the actions replayed:
144 true frames, then 156 predicted ones. As films, by FVD over all 300 frames, the context
included: 36 true frames, then 264 predicted ones; without actions on DMLab and Habitat, with them
on Minecraft. Clips without actions: 20 frames, then 80, for both.
"""

from dataclasses import dataclass
from typing import Literal

from gymnasium import spaces

from worldmodel_env.data.dataset import EpisodeRef, TrajectoryDataset
from worldmodel_env.errors import InputError

FilmActions = Literal["published", "with", "without"]

PREDICTION = "prediction"
FILM = "film"

_WITHOUT = ("DMLab", "Habitat")
"""In the name of a simulator: its films are predicted without actions, as published."""


@dataclass(frozen=True)
class Part:
    """One kind of prediction.

    Attributes:
        name: `PREDICTION` or `FILM`.
        context: C, true frames given, at least 1.
        horizon: K, frames predicted, at least 1.
        actions: the model is told the recorded actions.
        frames: measure frame by frame: PSNR, SSIM, LPIPS.
        film: measure all C+K frames as one film: FVD, KVD.
    """

    name: str
    context: int
    horizon: int
    actions: bool = True
    frames: bool = True
    film: bool = False

    def __post_init__(self) -> None:
        """Refuse lengths that leave nothing to do (InputError)."""
        if self.context < 1 or self.horizon < 1:
            raise InputError(
                f"a context of {self.context} and a horizon of {self.horizon} frames leave nothing "
                "to predict from, or nothing to predict; give at least 1 of each."
            )

    @property
    def length(self) -> int:
        """C+K, frames of a clip."""
        return self.context + self.horizon


def teco_protocol(
    dataset: TrajectoryDataset, *, film: bool = True, film_actions: FilmActions = "published"
) -> tuple[Part, ...]:
    """The parts of TECO's protocol for a data set.

    Args:
        dataset: decides by its simulator's name and its action space.
        film: measure FVD and KVD as well.
        film_actions: "published": without actions for DMLab and Habitat, with them for all others.
    """
    if not has_actions(dataset):
        return (Part(PREDICTION, 20, 80, actions=False, film=film),)
    parts = (Part(PREDICTION, 144, 156),)
    if not film:
        return parts
    simulators = dataset.metadata["simulators"]
    told = {
        "with": True,
        "without": False,
        "published": not any(name in s for s in simulators for name in _WITHOUT),
    }[film_actions]
    return (*parts, Part(FILM, 36, 264, actions=told, frames=False, film=True))


def clip_protocol(
    dataset: TrajectoryDataset, context: int, horizon: int, *, film: bool = False
) -> tuple[Part, ...]:
    """One part: `horizon` frames after `context`, with actions if the data has any."""
    return (Part(PREDICTION, context, horizon, actions=has_actions(dataset), film=film),)


def has_actions(dataset: TrajectoryDataset) -> bool:
    """Whether there was ever a choice: films without actions are recorded as `Discrete(1)`."""
    space = dataset.action_space
    return not (isinstance(space, spaces.Discrete) and space.n == 1)


def choose_episodes(
    dataset: TrajectoryDataset, split: str, length: int, episodes: int
) -> list[EpisodeRef]:
    """The first episodes of a split, by seed, with at least `length` frames.

    Raises:
        InputError: there is none.
    """
    if episodes < 1:
        raise InputError(f"episodes is {episodes}; give 1 or more.")
    long = [ref for ref in dataset.episodes(split) if ref.total_steps + 1 >= length]
    if not long:
        raise InputError(
            f"{dataset.root} has no {split} episode of {length} frames; record longer ones, or "
            "evaluate with `--protocol clip` and a shorter context or horizon."
        )
    return long[:episodes]
