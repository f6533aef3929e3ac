"""One walk: where it began, what was done, and what was seen."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from numpy.typing import NDArray

from worldmodel_env.play.dreams import Dream
from worldmodel_env.play.scene import Scene, Sight
from worldmodel_env.play.timeline import Timeline
from worldmodel_env.play.truth import Map


@dataclass(frozen=True)
class Origin:
    """How a walk began.

    Attributes:
        start: index of the start: the world's, or the simulator's if it walks along.
        seed: of the noise.
        map: of the simulator, if it walks along.
    """

    start: int
    seed: int
    map: Map | None


@dataclass
class Walk:
    """A walk up to the present, and what was undone of it.

    Attributes:
        origin: how it began.
        timeline: the moments held.
        controls: that were pressed since the beginning; some may lie in what was undone.
    """

    origin: Origin
    timeline: Timeline
    controls: list[int]

    @classmethod
    def begin(cls, origin: Origin, dream: Dream, truth: Sight | None) -> "Walk":
        """A walk of one moment."""
        scene = Scene(dream.frame, 0, None, 0.0, 0.0, False, None, None, truth)
        return cls(origin, Timeline(dream.state, scene), [])

    @property
    def scene(self) -> Scene:
        """What is seen now."""
        return self.timeline.scene

    @property
    def scenes(self) -> list[Scene]:
        """What was seen up to now, as far back as it is held."""
        return self.timeline.scenes[: self.timeline.position + 1]

    @property
    def first(self) -> int:
        """Transitions before the oldest moment held."""
        return self.timeline.scenes[0].elapsed

    @property
    def last(self) -> int:
        """Transitions before the newest moment held, which may be undone."""
        return self.timeline.scenes[-1].elapsed

    def path(self, control: int) -> list[int]:
        """The controls that led to the present, and one more."""
        return [*self.controls[: self.scene.elapsed], control]

    def go(self, control: int, dream: Dream, truth: Sight | None) -> None:
        """Add a moment."""
        now = self.scene
        scene = Scene(
            frame=dream.frame,
            elapsed=now.elapsed + 1,
            control=control,
            reward=dream.reward,
            total=now.total + dream.reward,
            ended=dream.ended,
            surprise=dream.surprise,
            tuning=dream.tuning,
            truth=truth,
        )
        self.controls = self.path(control)
        self.timeline.append(dream.state, scene)

    def copy(self) -> "Walk":
        """The walk up to the present."""
        return replace(
            self, timeline=self.timeline.copy(), controls=self.controls[: self.scene.elapsed]
        )

    @property
    def state(self) -> Mapping[str, NDArray]:
        """The world's state now."""
        return self.timeline.state
