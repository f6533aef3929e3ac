"""Votes that the page has saved, read beside the key that says which model was where."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.blind import AXES
from worldmodel_env.evaluation.blind.elo import Game

KEY_FORMAT, VOTES_FORMAT = "worldmodel-blind-key", "worldmodel-blind-votes"
VERSION = 1
SCORES = {"left": 1.0, "right": 0.0, "tie": 0.5}


def read_games(key: Path, votes: Sequence[Path]) -> dict[str, list[Game]]:
    """Every vote as a game: axis -> games; an axis that nobody voted on has none.

    A person who voted twice on a pair and axis counts with the later vote; a file given twice
    counts once.

    Args:
        key: what `worldmodel blind` wrote.
        votes: files that the page saved.

    Raises:
        InputError: a file is of another form or another study, or names an unknown pair.
    """
    told = _read(key, KEY_FORMAT)
    cast: dict[tuple[str, str, str], Game] = {}
    for path in votes:
        file = _read(path, VOTES_FORMAT)
        if file["study"] != told["study"]:
            raise InputError(
                f"{path} holds votes on study {file['study']!r}, and the key {key} is of "
                f"{told['study']!r}; give the key that was written with the page."
            )
        for vote in file["votes"]:
            pair = told["pairs"].get(vote.get("pair"))
            axis, choice = vote.get("axis"), vote.get("choice")
            if pair is None or axis not in AXES or choice not in SCORES:
                raise InputError(
                    f"{path} has the vote {vote}, where a pair of the key, an axis of "
                    f"{', '.join(AXES)} and left, right or tie were expected; save the votes again."
                )
            game = Game(pair["left"], pair["right"], SCORES[choice])
            cast[str(file["rater"]), vote["pair"], axis] = game
    return {axis: [g for (_, _, a), g in cast.items() if a == axis] for axis in AXES}


def _read(path: Path, expected: str) -> dict[str, Any]:
    needed = {KEY_FORMAT: ("study", "pairs"), VOTES_FORMAT: ("study", "rater", "votes")}[expected]
    try:
        content = json.loads(path.read_bytes())
        if (content["format"], content["version"]) == (expected, VERSION):
            return {name: content[name] for name in needed}
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give its path.") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError(
        f"{path} is not a file of the form {expected!r}, version {VERSION}; give what `worldmodel "
        "blind` wrote as the key, and what its page saved as votes."
    )
