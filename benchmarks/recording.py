"""Speed of recording and of reading back: `python -m benchmarks.recording`.

Records SimMaze-v0 with everything (simulator, engine, compression, writing) kept on one core, then
with two workers on two cores, in turn, so that a slow minute of the machine meets both; reads
random clips, and opens a set of 2,000 episodes. Then each other simulator that runs here, likewise.
Speeds and their ratios are medians over the rounds. Prints a table and writes JSON.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.report import report
from simulators.crew import Recorded, record_with_crew
from simulators.recorder import record
from simulators.rollout import Recipe
from worldmodel_env.data import schema
from worldmodel_env.data.dataset import TrajectoryDataset
from worldmodel_env.data.episode import Episode
from worldmodel_env.data.pack import pack
from worldmodel_env.data.writer import write_episode
from worldmodel_env.errors import InputError

SIMULATORS: dict[str, dict[str, Any]] = {
    "SimDoom-v0": {"scenario": "my_way_home"},
    "SimMiniWorld-v0": {},
    "SimMemoryMaze-v0": {},
    "gym:CartPole-v1": {},
}
EPISODES = 12
"""Of each of those, per worker and round; the first is not counted."""
POLICY = "explore=0.8,sloppy=0.1,out-and-back=0.1"


@contextmanager
def cores(wanted: Iterable[int]) -> Iterator[None]:
    """Keep this process and all it starts on some of its cores (no-op where the OS cannot)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(wanted))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def recording_speed(out: Path, episodes: int, workers: int) -> float:
    """Frames per second, start of the engine, compression and writing included."""
    # The very first recording on a machine also builds the pool of mazes.
    record("SimMaze-v0", out, episodes=workers, workers=workers, policy=POLICY, progress=False,
           seed=10_000, env_kwargs={"task": "explore"})  # fmt: skip
    summary = record("SimMaze-v0", out, episodes=episodes, workers=workers, policy=POLICY,
                     progress=False, env_kwargs={"task": "explore"})  # fmt: skip
    return summary.frames / summary.seconds


def simulator_speeds(root: Path, simulator: str, kwargs: dict[str, Any], steps: int) -> list[float]:
    """Frames per second with one worker on one core, then (where there are two) two on two.

    Counted from when each worker could have recorded one episode: starting is paid only once.
    """
    recipe = Recipe.check(simulator, kwargs, "random", steps)
    speeds = []
    for workers in range(1, 1 + min(2, len(available_cores()))):
        with cores(available_cores()[:workers]):
            seeds = range(EPISODES * workers)
            events = record_with_crew(root / str(workers), recipe, seeds, workers, 300.0)
            recorded = [
                (time.perf_counter(), event.steps + 1)
                for event in events
                if isinstance(event, Recorded)
            ]
        began = recorded[workers - 1][0]
        frames = sum(count for _, count in recorded[workers:])
        speeds.append(frames / (recorded[-1][0] - began))
    return speeds


def speeds_of_rounds(name: str, rounds: Sequence[Sequence[float]]) -> dict[str, float]:
    """What to report of rounds of (one worker's, two workers') frames per second, or of (one's,).

    Medians, and the least of the ratios, which tells how much one round may be believed.
    """
    found = {f"{name}, 1 core, frames/s": float(np.median([one for one, *_ in rounds]))}
    if ratios := [two / one for one, *more in rounds for two in more]:
        found[f"{name}, 2 workers over 1"] = float(np.median(ratios))
        found[f"{name}, 2 workers over 1, least of {len(ratios)}"] = min(ratios)
    return found


def available_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0))


def clip_frames_per_cpu_second(root: Path, length: int, clips: int = 1000) -> float:
    """Speed of reading random clips of `length` frames, files in the page cache."""
    dataset = TrajectoryDataset.open(root)
    refs = [ref for ref in dataset.episodes() if ref.total_steps + 1 >= length]
    rng = np.random.default_rng(0)
    began = time.process_time()
    for _ in range(clips):
        ref = refs[int(rng.integers(len(refs)))]
        start = int(rng.integers(ref.total_steps + 2 - length))
        dataset.read(ref, start, start + length)
    return clips * length / (time.process_time() - began)


def seconds_to_open(root: Path, like: Episode, episodes: int) -> tuple[float, float]:
    """Time to open a set of many (short) episodes: without its caches, and with them."""
    (root / schema.DATA / schema.EPISODES).mkdir(parents=True)
    for seed in range(episodes):
        short = Episode(like.observations[:5], like.actions[:4], like.rewards[:4],
                        like.terminations[:4], like.truncations[:4], like.pose[:5],
                        {**like.attributes, "seed": seed})  # fmt: skip
        write_episode(root / schema.DATA / schema.episode_file(seed), short)
    times = []
    for _ in range(2):
        began = time.perf_counter()
        TrajectoryDataset.open(root)
        times.append(time.perf_counter() - began)
    return times[0], times[1]


def main(
    episodes: int = 60,
    rounds: int = 3,
    opened: int = 2000,
    steps: int = 300,
    out: Path = Path("benchmarks/results/recording.json"),
) -> None:
    """Measure and report.

    Args:
        episodes: recorded per measurement, 301 frames each.
        rounds: of one worker and two in turn.
        opened: episodes in the set that is opened.
        steps: in an episode of the other simulators.
        out: where the JSON goes.
    """
    available = available_cores()
    results: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        speeds: list[list[float]] = [[] for _ in range(rounds)]
        for turn, workers in product(range(rounds), range(1, 1 + min(2, len(available)))):
            with cores(available[:workers]):
                target = root / f"{workers}-{turn}"
                speeds[turn].append(recording_speed(target, workers * episodes, workers))
        results |= speeds_of_rounds("recording", speeds)
        dataset = TrajectoryDataset.open(root / "1-0")
        size = sum(ref.path.stat().st_size for ref in dataset.episodes())
        frames = sum(ref.total_steps + 1 for ref in dataset.episodes())
        results["bytes per frame of 12288"] = size / frames
        like = dataset.read(dataset.episodes()[0])
        for length in (16, 64, 301):
            results[f"clips of {length}, single files, frames/CPU-s"] = clip_frames_per_cpu_second(
                root / "1-0", length
            )
        pack(root / "1-0")
        for length in (16, 64, 301):
            results[f"clips of {length}, shards, frames/CPU-s"] = clip_frames_per_cpu_second(
                root / "1-0", length
            )
        scanned, cached = seconds_to_open(root / "many", like, opened)
        results[f"opening {opened} episodes, caches stale, s"] = scanned
        results[f"opening {opened} episodes, s"] = cached
        for simulator, kwargs in SIMULATORS.items():
            target = root / simulator
            try:
                turns = [simulator_speeds(target / str(t), simulator, kwargs, steps)
                         for t in range(rounds)]  # fmt: skip
            except InputError as error:
                print(f"{simulator} is left out: {error}")
                continue
            results |= speeds_of_rounds(simulator, turns)
    report(results, out, cores=len(available))


if __name__ == "__main__":
    tyro.cli(main)
