"""Record episodes of a simulator into a data set, resumably and in parallel.

"Record the episode of seed s" is idempotent and depends on nothing recorded before it: what exists
is skipped, so an interrupted recording goes on when the same command is run again.
"""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import util
from pathlib import Path
from typing import Any

from tqdm import tqdm

from simulators.rollout import Player, Recipe
from worldmodel_env.data import schema
from worldmodel_env.data.index import EpisodeRow, scan
from worldmodel_env.data.metadata import write_caches
from worldmodel_env.data.writer import remove_abandoned, write_episode
from worldmodel_env.errors import InputError


@dataclass(frozen=True)
class RecordSummary:
    """What a call of `record` did.

    Attributes:
        out: the data set's folder.
        recorded: episodes written.
        skipped: episodes that were there already.
        frames: frames written.
        bytes: size of the files written.
        seconds: wall-clock time.
    """

    out: Path
    recorded: int
    skipped: int
    frames: int
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"recorded {self.recorded} episodes ({self.frames:,} frames, {self.bytes / 1e6:.1f} "
            f"MB) in {self.seconds:.1f} s ({self.frames / max(self.seconds, 1e-9):.0f} frames/s), "
            f"{self.skipped} were there already: {self.out}"
        )


def record(
    simulator: str,
    out: Path,
    *,
    episodes: int,
    validation: int = 0,
    test: int = 0,
    policy: str = "explore",
    seed: int = 0,
    workers: int = 1,
    shard: tuple[int, int] = (0, 1),
    env_kwargs: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    progress: bool = True,
) -> RecordSummary:
    """Record episodes of `simulator` into the folder `out`.

    Args:
        simulator: Gymnasium id, such as "SimMaze-v0", or "module:id".
        out: the data set's folder, made if it does not exist; more episodes are added to it.
        episodes: number of training episodes.
        validation: number of validation episodes.
        test: number of test episodes.
        policy: an explorer's name, or a mixture such as "explore=0.8,sloppy=0.2".
        seed: index of the first episode in each split's range of seeds; another one appends.
        workers: processes, each with its own simulator.
        shard: (k, n) records the k-th of every n episodes, for n machines that share the work.
        env_kwargs: arguments for `gymnasium.make`.
        max_steps: time limit in steps, instead of the simulator's own; needed if it has none.
        progress: show a progress bar.

    Returns:
        What was recorded and how fast.

    Raises:
        InputError: if an argument is wrong, an episode of the same seed was recorded with other
            settings, or the disk is full; whole episodes stay, nothing else is left.
    """
    began = time.perf_counter()
    out = Path(out)
    counts = dict(zip(schema.SPLITS, (episodes, validation, test), strict=True))
    _check_numbers(workers, shard, seed, counts)
    recipe = Recipe.check(simulator, env_kwargs or {}, policy, max_steps)
    wanted = [
        schema.SEED_BASE[split] + seed + number
        for split, count in counts.items()
        for number in range(shard[0], count, shard[1])
    ]
    data = out / schema.DATA
    remove_abandoned(data / schema.EPISODES)
    present = {row.seed: row for _, row in scan(data).episodes()}
    missing = [number for number in wanted if number not in present]
    _check_agreement(out, recipe, present, wanted, missing)

    frames = size = 0
    try:
        with tqdm(
            desc=f"recording {simulator}",
            total=len(wanted),
            initial=len(wanted) - len(missing),
            unit="episode",
            disable=None if progress else True,  # and off a terminal
        ) as bar:
            for steps, written in _record_all(data, recipe, missing, workers):
                frames, size = frames + steps + 1, size + written
                speed = frames / (time.perf_counter() - began)
                bar.set_postfix_str(f"{speed:.0f} frames/s", refresh=False)
                bar.update()
    except KeyboardInterrupt:
        remove_abandoned(data / schema.EPISODES)
        _refresh(data)
        raise
    _refresh(data)
    return RecordSummary(
        out, len(missing), len(wanted) - len(missing), frames, size, time.perf_counter() - began
    )


def _record_all(
    data: Path, recipe: Recipe, seeds: Sequence[int], workers: int
) -> Iterator[tuple[int, int]]:
    """Record `seeds`; yield each episode's number of steps and bytes on disk, as they come."""
    if workers == 1:
        for split, group in itertools.groupby(seeds, schema.split_of):
            with closing(Player(recipe, split)) as player:
                for seed in group:
                    yield _record_one(data, player, seed)
        return
    try:
        from joblib import Parallel, delayed
        from joblib.externals.loky import get_reusable_executor
        from joblib.externals.loky.process_executor import TerminatedWorkerError
    except ModuleNotFoundError as error:
        raise InputError(
            'recording with several workers needs joblib: pip install "worldmodel-env[train]"'
        ) from error
    jobs = (delayed(_record_in_worker)(data, recipe, seed) for seed in seeds)
    try:
        yield from Parallel(n_jobs=workers, batch_size=1, return_as="generator_unordered")(jobs)
    except TerminatedWorkerError as error:
        raise RuntimeError(
            f"a worker that ran {recipe.simulator} died: whole episodes are kept, run the same "
            "command again to go on"
        ) from error
    finally:
        # The pool would idle for minutes with its simulators running.
        get_reusable_executor().shutdown(wait=True)


def _record_one(data: Path, player: Player, seed: int) -> tuple[int, int]:
    episode = player.play(seed)
    path = data / schema.episode_file(seed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {path.parent} ({error.strerror}): choose another one"
        ) from error
    write_episode(path, episode)
    return len(episode), path.stat().st_size


_playing: tuple[Recipe, str, Player] | None = None
"""In a worker process: the simulator in use, and for what."""


def _record_in_worker(data: Path, recipe: Recipe, seed: int) -> tuple[int, int]:
    global _playing
    split = schema.split_of(seed)
    if _playing is None or _playing[:2] != (recipe, split):
        if _playing is not None:
            _playing[2].close()
        _playing = (recipe, split, Player(recipe, split))
        util.Finalize(None, _playing[2].close, exitpriority=1)
    return _record_one(data, _playing[2], seed)


def _check_numbers(
    workers: int, shard: tuple[int, int], seed: int, counts: Mapping[str, int]
) -> None:
    if workers < 1:
        raise InputError(f"workers is {workers}: use 1 or more")
    part, parts = shard
    if not 0 <= part < parts:
        raise InputError(
            f"shard {part}/{parts} does not exist: use 0/{parts} to {parts - 1}/{parts}"
        )
    if min(counts.values()) < 0 or sum(counts.values()) == 0:
        numbers = ", ".join(f"{count} {split}" for split, count in counts.items())
        raise InputError(f"{numbers} episodes asked for: use 1 or more in all, none below 0")
    if seed < 0 or seed + max(counts.values()) > schema.SEEDS_PER_SPLIT:
        raise InputError(
            f"seed {seed} with {max(counts.values())} episodes leaves the split's range: use "
            f"0 to {schema.SEEDS_PER_SPLIT} in all"
        )


def _check_agreement(
    out: Path,
    recipe: Recipe,
    present: Mapping[int, EpisodeRow],
    wanted: Sequence[int],
    missing: Sequence[int],
) -> None:
    """Refuse before anything is recorded what could not stand beside what is there."""
    for seed in wanted:
        if seed not in present:
            continue
        for name, value in recipe.settings(seed).items():
            recorded = getattr(present[seed], name)
            if recorded != value:
                free = 1 + max(taken % schema.SEEDS_PER_SPLIT for taken in present)
                raise InputError(
                    f"{out} holds an episode of seed {seed} recorded with {name} {recorded}, not "
                    f"{value}: use seed {free} or above, or another folder"
                )
    if present and missing:
        made = recipe.settings(missing[0])
        if not any(
            (row.simulator, row.env_kwargs) == (made["simulator"], made["env_kwargs"])
            for row in present.values()
        ):
            _check_spaces(out, recipe, next(iter(present.values())), missing[0])


def _check_spaces(out: Path, recipe: Recipe, row: EpisodeRow, seed: int) -> None:
    with closing(Player(recipe, schema.split_of(seed))) as player:
        space = schema.space_to_json(player.action_space)
        if player.frame_shape[:2] != (row.height, row.width) or space != row.action_space:
            raise InputError(
                f"{out} holds frames of {row.height} x {row.width} pixels with actions "
                f"{row.action_space}, {recipe.simulator} gives {player.frame_shape[0]} x "
                f"{player.frame_shape[1]} with {space}: use another folder"
            )


def _refresh(data: Path) -> None:
    index = scan(data)
    if index.files:
        write_caches(data, index)
