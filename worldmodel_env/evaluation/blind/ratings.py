"""Ratings per axis, and their mean, from files of votes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.blind.elo import Rating, elo_ratings
from worldmodel_env.evaluation.blind.votes import read_games

Table = dict[str, dict[str, Rating]]
ALL = "all axes"


def rate_votes(key: Path, votes: Sequence[Path], *, seed: int = 0) -> Table:
    """Rate models on each axis that was voted on, and on all votes together.

    Args:
        key: written with the page.
        votes: files that the page saved.
        seed: of the bootstrap.

    Raises:
        InputError: a file is not what it should be, or nobody voted.
    """
    games = {axis: some for axis, some in read_games(key, votes).items() if some}
    if not games:
        raise InputError(
            f"{', '.join(map(str, votes)) or 'No file'} holds no vote; vote on the page, then save."
        )
    every = [game for some in games.values() for game in some]
    return {axis: elo_ratings(some, seed=seed) for axis, some in {**games, ALL: every}.items()}


def write_ratings(path: Path, table: Mapping[str, Mapping[str, Rating]]) -> None:
    """Write axis -> model -> rating as JSON, atomically."""
    plain = {axis: {model: asdict(r) for model, r in rs.items()} for axis, rs in table.items()}
    replace_file(path, (json.dumps(plain, indent=1) + "\n").encode())
