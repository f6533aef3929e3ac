"""Success, return and steps of several policies, as a table and as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluate import Scores
from agents.intervals import Estimate, estimate, mean
from worldmodel_env.data.writer import replace_file

HEADER = f"{'policy':16s} {'episodes':>8s}  {'success':22s} {'return, IQM':22s} steps to goal, IQM"


def summary(runs: Sequence[Scores]) -> dict[str, Estimate | None]:
    """Of one kind of policy, trained once or several times; no steps where none succeeded."""
    reached = [scores.steps[scores.success] for scores in runs if scores.success.any()]
    return {
        "success": estimate([scores.success for scores in runs], mean),
        "return": estimate([scores.returns for scores in runs]),
        "steps": estimate(reached) if reached else None,
    }


def table(results: Mapping[str, Sequence[Scores]]) -> str:
    """One line per kind."""
    lines = [HEADER]
    for name, runs in results.items():
        found = summary(runs)
        count = sum(len(scores.seeds) for scores in runs)
        cells = [str(found[key] or "none") for key in ("success", "return", "steps")]
        lines.append(f"{name:16s} {count:8d}  {cells[0]:22s} {cells[1]:22s} {cells[2]}")
    return "\n".join(lines)


def write_report(path: Path, results: Mapping[str, Sequence[Scores]], **about: Any) -> None:
    """All numbers, those of each episode too."""
    content = {
        **about,
        "summary": {
            name: {key: value and vars(value) for key, value in summary(runs).items()}
            for name, runs in results.items()
        },
        "episodes": {name: [scores.to_json() for scores in runs] for name, runs in results.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(content, indent=1, default=_plain).encode())


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
