"""One tab's walk: what each of its messages does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from worldmodel_env.errors import InputError
from worldmodel_env.play import messages as ask
from worldmodel_env.play.album import Album, video
from worldmodel_env.play.controls import Control
from worldmodel_env.play.dreams import Dreams
from worldmodel_env.play.packet import Packet
from worldmodel_env.play.scene import Frame, Tuning
from worldmodel_env.play.truth import STARTS, Truth
from worldmodel_env.play.walk import Origin, Walk

MOST_MOMENTS = 8
PAGE = 24
"""Starts shown at once."""
_SEEDS = 1_000_000


@dataclass(frozen=True)
class Moment:
    """A kept moment: the walk that led to it."""

    number: int
    walk: Walk


class Session:
    """A walk, kept moments and settings; each message either does its deed or changes nothing."""

    def __init__(
        self,
        dreams: Dreams,
        controls: Sequence[Control],
        truth: Truth | None = None,
        album: Album | None = None,
    ) -> None:
        """Begin a walk at any start.

        Args:
            dreams: the world.
            controls: how a person acts.
            truth: the simulator to walk beside, this session's own, closed with it.
            album: where recordings go.
        """
        self._dreams, self._controls, self._truth, self._album = dreams, controls, truth, album
        self._random = np.random.default_rng()
        self._tuning = dreams.tuning
        self._watching = False
        self._moments: list[Moment] = []
        self._kept = 0
        self._walk = self._begin(None)

    def close(self) -> None:
        """Stop the simulator, if any."""
        if self._truth is not None:
            self._truth.close()

    def welcome(self, token: str, resumed: bool) -> bytes:
        """All that a page needs to begin, or to go on after its connection was lost."""
        world, truth = self._dreams.world, self._truth
        packet = Packet(
            "welcome",
            token=token,
            resumed=resumed,
            world={"name": world.name, "version": world.version},
            simulator=None if truth is None else truth.simulator.name,
            size=world.observation_space.shape[:2],
            controls=[{"label": c.label, "keys": c.keys} for c in self._controls],
            recording=None if self._album is None else str(self._album.folder),
            passes=ask.MOST_PASSES,
            hottest=ask.HOTTEST,
            most_moments=MOST_MOMENTS,
            **self._settings(),
        )
        return self._with_moments(packet).walk(self._walk).encode()

    def handle(self, message: ask.Message) -> bytes:
        """Do what a message asks for and say what came of it.

        Raises:
            InputError: it cannot be done; nothing changed.
        """
        match message:
            case ask.Act(control):
                return self._act(control)
            case ask.Begin(start):
                self._walk = self._begin(start)
                return self._walked()
            case ask.Seek(elapsed):
                return self._seek(elapsed)
            case ask.Keep():
                return self._keep()
            case ask.Jump(number):
                self._walk = self._moment(number).walk.copy()
                return self._walked()
            case ask.Forget(number):
                self._moments.remove(self._moment(number))
                return self._with_moments(Packet("moments")).encode()
            case ask.Tune(steps, temperature):
                self._dreams.prepare(tuning := Tuning(steps, temperature))
                self._tuning = tuning
                return Packet("settings", **self._settings()).encode()
            case ask.Watch(on):
                if self._truth is None:
                    raise InputError("there is no simulator to watch; start with --compare.")
                self._watching = on
                return Packet("settings", **self._settings()).encode()
            case ask.Starts(page):
                return self._starts(page)
            case ask.Clip(save):
                return self._clip(save)
        raise InputError("only the first message says hello; reload the page.")

    def _begin(self, start: int | None) -> Walk:
        seed = int(self._random.integers(_SEEDS))
        self._check_start(start)
        if self._truth is None:
            dream = self._dreams.begin(self._tuning, seed, start=start)
            return Walk.begin(Origin(dream.start, seed, None), dream, None)
        chosen = int(self._random.integers(STARTS)) if start is None else start
        sight, place = self._truth.begin(chosen)
        dream = self._dreams.begin_with(self._tuning, seed, sight.frame)
        return Walk.begin(Origin(chosen, seed, place), dream, sight)

    def _act(self, control: int) -> bytes:
        if control >= len(self._controls):
            raise InputError(f"control must be 0 to {len(self._controls) - 1}.")
        walk, now = self._walk, self._walk.scene
        if now.ended:
            raise InputError("the episode has ended; go back, or begin a new walk.")
        if self._watching and now.truth is not None and now.truth.ended:
            raise InputError("the simulator's episode has ended: there is nothing to watch.")
        action = self._controls[control].action
        sight = None
        if self._truth is not None and now.truth is not None:
            path = [self._controls[c].action for c in walk.path(control)]
            sight = self._truth.follow(walk.origin.start, path, now.truth)
        if self._watching and sight is not None:
            dream = self._dreams.watch(walk.state, action, sight)
        else:
            dream = self._dreams.step(walk.state, action, self._tuning)
        walk.go(control, dream, sight)
        return Packet("scene").scene(walk, round(1000 * dream.seconds, 2)).encode()

    def _seek(self, elapsed: int) -> bytes:
        walk = self._walk
        if not walk.first <= elapsed <= walk.last:
            raise InputError(f"elapsed must be {walk.first} to {walk.last}, what the walk holds.")
        walk.timeline.seek(elapsed - walk.first)
        return Packet("scene").scene(walk).encode()

    def _keep(self) -> bytes:
        if len(self._moments) == MOST_MOMENTS:
            raise InputError(f"{MOST_MOMENTS} moments are kept already; let go of one first.")
        self._kept += 1
        self._moments.append(Moment(self._kept, self._walk.copy()))
        return self._with_moments(Packet("moments")).encode()

    def _moment(self, number: int) -> Moment:
        for moment in self._moments:
            if moment.number == number:
                return moment
        raise InputError(f"there is no kept moment {number}.")

    def _walked(self) -> bytes:
        return Packet("walk").walk(self._walk).encode()

    def _with_moments(self, packet: Packet) -> Packet:
        packet.header["moments"] = [
            {
                "number": m.number,
                "elapsed": m.walk.scene.elapsed,
                "frame": packet.frame(m.walk.scene.frame),
            }
            for m in self._moments
        ]
        return packet

    def _settings(self) -> dict[str, object]:
        tuning = self._tuning
        return {
            "steps": tuning.steps,
            "temperature": tuning.temperature,
            "watching": self._watching,
        }

    def _start_count(self) -> int:
        return len(self._dreams.world.starts) if self._truth is None else STARTS

    def _check_start(self, start: int | None) -> None:
        if start is not None and start >= self._start_count():
            raise InputError(f"start must be 0 to {self._start_count() - 1}.")

    def _starts(self, page: int) -> bytes:
        count = self._start_count()
        pages = -(-count // PAGE)
        shown = range(page % pages * PAGE, min(page % pages * PAGE + PAGE, count))
        packet = Packet("starts", page=page % pages, pages=pages)
        packet.header["starts"] = [
            {"start": start, "frame": packet.frame(self._thumbnail(start))} for start in shown
        ]
        return packet.encode()

    def _thumbnail(self, start: int) -> Frame:
        truth = self._truth
        return self._dreams.thumbnail(start) if truth is None else truth.thumbnail(start)

    def _clip(self, save: bool) -> bytes:
        if not save:
            name = f"{self._dreams.world.name}-{self._walk.scene.elapsed}.mp4"
            return Packet("clip", name=name).encode(video(self._walk))
        if self._album is None:
            raise InputError("recordings have no folder; start with --record DIR.")
        simulator = None if self._truth is None else self._truth.simulator
        written = self._album.add(self._walk, self._controls, self._dreams.world, simulator)
        files = [str(path.relative_to(self._album.folder)) for path in written]
        return Packet("saved", folder=str(self._album.folder), files=files).encode()
