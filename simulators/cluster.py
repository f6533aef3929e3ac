"""Recording on many machines: the episodes are divided among jobs of SLURM, Ray, or this machine.

Every job records one shard into the same folder, which all machines must see. Jobs need not know
of each other: each writes its own episodes, and a job that is lost is made up for by running the
same command again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from simulators.progress import Progress
from simulators.recorder import RecordSummary, record, refresh_caches, wanted_seeds
from simulators.rollout import Recipe
from worldmodel_env.data import schema
from worldmodel_env.errors import InputError

Cluster = Literal["slurm", "ray", "local"]
_POLL_SECONDS = 1.0
_LOGS = "jobs"


@dataclass(frozen=True)
class _Job:
    """A job that was handed in.

    Attributes:
        done: whether it has ended, one way or the other.
        result: what it returned; raises what became of it.
        cancel: end it.
    """

    done: Callable[[], bool]
    result: Callable[[], dict[str, Any]]
    cancel: Callable[[], None]


def record_on_cluster(
    simulator: str,
    out: Path,
    *,
    cluster: Cluster,
    jobs: int,
    options: Mapping[str, Any] | None = None,
    episodes: int,
    validation: int = 0,
    test: int = 0,
    seed: int = 0,
    workers: int = 1,
    shard: tuple[int, int] = (0, 1),
    progress: bool = True,
    **arguments: Any,
) -> RecordSummary:
    """Record as `simulators.recorder.record` does, in so many jobs; returns when all have ended.

    Args:
        simulator: as for `record`.
        out: a folder that every machine sees at the same path.
        cluster: "slurm" or "local" (processes here), through submitit, or "ray".
        jobs: how many shards the episodes are divided into.
        options: for the cluster: parameters of submitit's executor (slurm_partition, timeout_min,
            mem_gb, ...), or arguments of `ray.init`.
        episodes: as for `record`, of all jobs together; so are validation, test, seed and shard.
        validation: see there.
        test: see there.
        seed: see there.
        workers: processes in each job.
        shard: see there.
        progress: show how many episodes there are.
        **arguments: more for `record`: policy, env_kwargs, max_steps, patience.

    Raises:
        InputError: an argument is wrong, the cluster cannot be reached, or jobs failed; whole
            episodes stay.
    """
    began = time.perf_counter()
    if jobs < 1:
        raise InputError(f"jobs is {jobs}: use 1 or more")
    if workers < 1:
        raise InputError(f"workers is {workers}: a job needs 1 or more")
    out = Path(out).absolute()
    part, parts = shard
    Recipe.check(
        simulator,
        arguments.get("env_kwargs") or {},
        arguments.get("policy", "explore"),
        arguments.get("max_steps"),
    )
    common = {
        "paths": [os.path.abspath(path) for path in sys.path],
        "simulator": simulator, "out": str(out), "episodes": episodes, "validation": validation,
        "test": test, "seed": seed, "workers": workers, **arguments,
    }  # fmt: skip
    orders = [{**common, "shard": (part + parts * job, parts * jobs)} for job in range(jobs)]
    counts = dict(zip(schema.SPLITS, (episodes, validation, test), strict=True))
    files = [out / schema.DATA / schema.episode_file(s) for s in wanted_seeds(counts, seed, shard)]
    submit = _on_ray if cluster == "ray" else _through_submitit
    handed_in = submit(cluster, orders, dict(options or {}), out, workers)
    try:
        _follow(handed_in, files, simulator, progress)
    except BaseException:
        for job in handed_in:
            with suppress(Exception):
                job.cancel()
        raise
    summaries, failures = _gather(handed_in)
    if (out / schema.DATA).is_dir():
        refresh_caches(out / schema.DATA)
    if failures:
        raise InputError(
            f"{len(failures)} of {jobs} jobs failed ({failures[0]}): run the same command again to "
            f"go on, the logs are in {out / _LOGS}; whole episodes are kept"
        )
    shutil.rmtree(out / _LOGS, ignore_errors=True)
    return _total(out, summaries, time.perf_counter() - began)


def record_part(order: dict[str, Any]) -> dict[str, Any]:
    """What runs in a job: record a shard; the summary's numbers, or what was wrong."""
    # Modules with simulators lie where they lay for whoever handed in the job.
    sys.path += [path for path in order.pop("paths") if path not in sys.path]
    try:
        summary = record(**{**order, "out": Path(order["out"])})
    except InputError as error:
        return {"refused": str(error)}
    return {field.name: getattr(summary, field.name) for field in fields(summary)}


def _through_submitit(
    cluster: Cluster, orders: list[dict[str, Any]], options: dict[str, Any], out: Path, workers: int
) -> list[_Job]:
    try:
        import submitit
    except ImportError as error:
        raise InputError(
            f'cluster {cluster} needs submitit: pip install "worldmodel-env[slurm]"'
        ) from error
    try:
        executor = submitit.AutoExecutor(folder=out / _LOGS / "%j", cluster=cluster)
        given = {"cpus_per_task": workers, "name": "worldmodel-record", **options}
        executor.update_parameters(**given)
        jobs = [executor.submit(record_part, order) for order in orders]
    except (RuntimeError, NameError, TypeError, ValueError, OSError) as error:
        raise InputError(
            f"cluster {cluster} takes no jobs with {json.dumps(options)} ({error}): mend the "
            "options, or run where sbatch works"
        ) from error
    return [_Job(job.done, job.result, job.cancel) for job in jobs]


def _on_ray(
    cluster: Cluster, orders: list[dict[str, Any]], options: dict[str, Any], out: Path, workers: int
) -> list[_Job]:
    try:
        import ray
    except ImportError as error:
        raise InputError('cluster ray needs Ray: pip install "worldmodel-env[ray]"') from error
    try:
        ray.init(**{"ignore_reinit_error": True, "log_to_driver": False, **options})
    except (ConnectionError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"Ray cannot be reached with {json.dumps(options)} ({error}): mend the options"
        ) from error
    run = ray.remote(num_cpus=workers)(record_part)

    def job(order: dict[str, Any]) -> _Job:
        task = run.remote(order)
        return _Job(
            lambda: bool(ray.wait([task], timeout=0)[0]),
            lambda: ray.get(task),
            lambda: ray.cancel(task, force=True),
        )

    return [job(order) for order in orders]


def _follow(jobs: list[_Job], files: list[Path], simulator: str, shown: bool) -> None:
    """Wait for the jobs, counting the episodes that appear."""
    there = sum(file.exists() for file in files)
    missing = [file for file in files if not file.exists()]
    with Progress(simulator, len(files), there, shown=shown) as progress:
        while True:
            ended = all(job.done() for job in jobs)
            for file in [file for file in missing if file.exists()]:
                missing.remove(file)
                progress.add(0)
            if ended:
                return
            time.sleep(_POLL_SECONDS)


def _gather(jobs: list[_Job]) -> tuple[list[dict[str, Any]], list[str]]:
    results, failures = [], []
    for job in jobs:
        try:
            result = job.result()
        except Exception as error:
            failures.append(str(error).strip().splitlines()[-1])
            continue
        if "refused" in result:
            raise InputError(result["refused"])
        results.append(result)
    return results, failures


def _total(out: Path, results: list[dict[str, Any]], seconds: float) -> RecordSummary:
    counted = ("recorded", "skipped", "frames", "bytes", "crashes", "hangs")
    return RecordSummary(
        out=out,
        seconds=seconds,
        failed={seed: why for result in results for seed, why in result["failed"].items()},
        **{name: sum(result[name] for result in results) for name in counted},
    )
