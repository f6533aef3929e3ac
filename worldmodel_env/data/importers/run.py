"""Import a set: split it, load it by several workers, and put it in place all at once."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from worldmodel_env.data import schema
from worldmodel_env.data.importers.source import Importer
from worldmodel_env.data.importers.splits import Job, Shares, assign
from worldmodel_env.data.importers.stage import Stage
from worldmodel_env.data.validate import episode_problems
from worldmodel_env.data.writer import write_episode
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class ImportSummary:
    """What an import did.

    Attributes:
        out: the data set's folder.
        imported: new episodes per split.
        present: episodes that were in the data set already.
        bad: what was left out on request: why, by source.
        seconds: wall-clock time.
    """

    out: Path
    imported: Mapping[str, int]
    present: int
    bad: Mapping[str, str]
    seconds: float

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {split}" for split, number in self.imported.items())
        lines = [
            f"imported {counts or 'no'} episodes in {self.seconds:.1f} s, {self.present} were "
            f"there already: {self.out}"
        ]
        lines += [f"  left out: {reason}" for reason in self.bad.values()]
        return "\n".join(lines)


@dataclass(frozen=True)
class _Done:
    """An episode that was written to the stage, or why it was not."""

    job: Job
    frames: int = 0
    spaces: tuple[int, int, str] = (0, 0, "")
    error: str = ""


def import_set(
    importer: Importer,
    out: Path,
    *,
    shares: Shares | None = None,
    first: int = 0,
    workers: int = 1,
    skip_bad: bool = False,
    progress: bool = True,
) -> ImportSummary:
    """Import a whole set into the folder `out`, which is made or added to.

    Episodes gather in `out/.importing` and appear in the data set all at once; run again after an
    interruption or an error, it goes on with those that are missing.

    Args:
        importer: of the set.
        out: the data set's folder.
        shares: held-out shares where no split was published; a twentieth each if not given.
        first: number of the first episode in each split's range of seeds; another one appends.
        workers: processes.
        skip_bad: leave out episodes that cannot be imported, instead of refusing.
        progress: show a progress bar.

    Raises:
        InputError: the set, an episode or an argument is wrong; the data set is as it was.
    """
    began = time.perf_counter()
    if workers < 1:
        raise InputError(f"--workers is {workers}: use 1 or more")
    jobs = {job.seed: job for job in assign(importer.sources(), shares or Shares(), first)}
    stage = Stage(out, jobs, _settings(importer))
    wanted = [job for job in jobs.values() if job.seed not in stage.present]
    missing = [job for job in wanted if job.seed not in stage.staged]
    bad: dict[str, str] = {}
    if wanted:
        stage.open()
        frames = 0
        with tqdm(
            desc="importing",
            total=len(wanted),
            initial=len(stage.staged),
            unit="episode",
            disable=None if progress else True,  # and off a terminal
        ) as bar:
            for done in _load_all(importer, stage, missing, workers):
                if done.error and not skip_bad:
                    raise InputError(done.error)
                if done.error:
                    bad[done.job.source.name] = done.error
                else:
                    stage.accept(done.job, *done.spaces)
                frames += done.frames
                speed = frames / (time.perf_counter() - began)
                bar.set_postfix_str(f"{speed:.0f} frames/s", refresh=False)
                bar.update()
        if len(bad) == len(wanted) and not stage.present:
            raise InputError(f"no episode could be imported; the first: {next(iter(bad.values()))}")
        stage.publish()
    counts = Counter(job.split for job in wanted if job.source.name not in bad)
    imported = {split: counts[split] for split in schema.SPLITS if counts[split]}
    return ImportSummary(out, imported, len(stage.present), bad, time.perf_counter() - began)


def _load_all(
    importer: Importer, stage: Stage, jobs: Sequence[Job], workers: int
) -> Iterator[_Done]:
    """Import each job to the stage, in any order."""
    if workers == 1:
        for job in jobs:
            yield _load_one(importer, stage.path(job.seed), job)
        return
    queue = iter(jobs)
    # Not forked: the video library's threads and locks would not survive it.
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
            running: set[Future[_Done]] = set()
            while True:
                for job in islice(queue, 2 * workers - len(running)):
                    running.add(pool.submit(_load_one, importer, stage.path(job.seed), job))
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "a worker died: whole episodes are kept, run the same command again to go on"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _load_one(importer: Importer, path: Path, job: Job) -> _Done:
    try:
        loaded = importer.load(job.source)
        attributes = {
            "task": "",
            "env_kwargs": "{}",
            **loaded.attributes,
            "seed": job.seed,
            "split": job.split,
            "versions": {"worldmodel-env": version("worldmodel-env")},
            "source": job.source.name,
            "import": _settings(importer),
        }
        space = attributes["action_space"]
        for problem in episode_problems(loaded, schema.space_from_json(space)):
            return _Done(job, error=f"{job.source.name}: {problem}; mend it or leave it out")
        write_episode(path, replace(loaded, attributes=attributes))
    except InputError as error:
        named = job.source.file in str(error)
        return _Done(job, error=str(error) if named else f"{job.source.name}: {error}")
    frames, height, width, _ = loaded.observations.shape
    return _Done(job, frames, (height, width, space))


def _settings(importer: Importer) -> str:
    return json.dumps(importer.settings, sort_keys=True)
