"""Record episodes of a simulator into a data set, resumably and in parallel.

"Record the episode of seed s" is idempotent and depends on nothing recorded before it: what exists
is skipped, so an interrupted recording goes on when the same command is run again.
"""

import itertools
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from simulators.crew import Recorded, record_with_crew
from simulators.progress import Progress
from simulators.rollout import Player, Recipe, record_one
from simulators.tally import RecordSummary, Tally
from worldmodel_env.data import schema
from worldmodel_env.data.index import EpisodeRow, scan
from worldmodel_env.data.metadata import write_caches
from worldmodel_env.data.writer import remove_abandoned
from worldmodel_env.errors import InputError

__all__ = ["RecordSummary", "record", "refresh_caches", "wanted_seeds"]

HUMAN = "human"


def record(
    simulator: str,
    out: Path,
    *,
    episodes: int,
    validation: int = 0,
    test: int = 0,
    policy: str = "explore",
    seed: int = 0,
    workers: int = 0,
    patience: float = 300.0,
    shard: tuple[int, int] = (0, 1),
    env_kwargs: Mapping[str, Any] | None = None,
    max_steps: int | None = None,
    progress: bool = True,
) -> RecordSummary:
    """Record episodes of `simulator` into the folder `out`.

    Args:
        simulator: Gymnasium id, such as "SimMaze-v0", or "module:id"; "gym:ID" for any other
            Gymnasium environment, whose pictures are then scaled.
        out: the data set's folder, made if it does not exist; more episodes are added to it.
        episodes: number of training episodes.
        validation: number of validation episodes.
        test: number of test episodes.
        policy: an explorer's name, or a mixture such as "explore=0.8,sloppy=0.2".
        seed: index of the first episode in each split's range of seeds; another one appends.
        workers: processes, each with its own simulator, which are watched over: an episode whose
            simulator dies or hangs is played again in a new one. 0 plays in this process, which
            shares a simulator's fate.
        patience: seconds a worker's simulator may take for a step, or to start and reset.
        shard: (k, n) records the k-th of every n episodes, for n machines that share the work.
        env_kwargs: arguments for `gymnasium.make`.
        max_steps: time limit in steps, instead of the simulator's own; needed if it has none.
        progress: show a progress bar.

    Returns:
        What was recorded and how fast, and which episodes were given up.

    Raises:
        InputError: if an argument is wrong, an episode of the same seed was recorded with other
            settings, the disk is full, or the simulator fails at one episode after another;
            whole episodes stay, nothing else is left.
    """
    began = time.perf_counter()
    out = Path(out)
    counts = dict(zip(schema.SPLITS, (episodes, validation, test), strict=True))
    _check_numbers(workers, patience, shard, seed, counts)
    recipe = Recipe.check(simulator, env_kwargs or {}, policy, max_steps)
    if HUMAN in recipe.mixture.names:
        workers = 0  # the window and the keyboard are this process's
    wanted = wanted_seeds(counts, seed, shard)
    data = out / schema.DATA
    remove_abandoned(data / schema.EPISODES)
    present = {row.seed: row for _, row in scan(data).episodes()}
    missing = [number for number in wanted if number not in present]
    _check_agreement(out, recipe, present, wanted, missing)

    happenings = (
        record_with_crew(data, recipe, missing, min(workers, max(1, len(missing))), patience)
        if workers
        else _play_here(data, recipe, missing)
    )
    tally = Tally(recipe.simulator)
    try:
        with (
            closing(happenings),
            Progress(simulator, len(wanted), len(wanted) - len(missing), shown=progress) as shown,
        ):
            for event in happenings:
                if isinstance(event, Recorded):
                    shown.add(event.steps + 1)
                else:
                    shown.note(f"seed {event.seed}, {event.kind}: {event.reason}")
                tally.count(event)
    except BaseException:
        remove_abandoned(data / schema.EPISODES)
        with suppress(InputError):  # the caches can be made later, what is wrong is told now
            refresh_caches(data)
        raise
    refresh_caches(data)
    return tally.summary(out, len(wanted) - len(missing), time.perf_counter() - began)


def wanted_seeds(counts: Mapping[str, int], seed: int, shard: tuple[int, int]) -> list[int]:
    """The seeds of a shard's episodes, by split."""
    return [
        schema.SEED_BASE[split] + seed + number
        for split, count in counts.items()
        for number in range(shard[0], count, shard[1])
    ]


def refresh_caches(data: Path) -> None:
    """Write the table and the link file anew, for what is in the folder now."""
    index = scan(data)
    if index.files:
        write_caches(data, index)


def _play_here(data: Path, recipe: Recipe, seeds: Sequence[int]) -> Generator[Recorded, None, None]:
    for split, group in itertools.groupby(seeds, schema.split_of):
        with closing(Player(recipe, split)) as player:
            for seed in group:
                yield Recorded(seed, *record_one(data, player, seed))


def _check_numbers(
    workers: int, patience: float, shard: tuple[int, int], seed: int, counts: Mapping[str, int]
) -> None:
    if workers < 0:
        raise InputError(f"workers is {workers}: use 1 or more, or 0 for this process")
    if not patience > 0:
        raise InputError(f"patience is {patience}: give the seconds that a step may take")
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
