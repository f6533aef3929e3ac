"""The page, one HTML file that needs no server and no network, and the key to it."""

import base64
import hashlib
import html
import io
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError
from worldmodel_env.evaluation.blind import AXES
from worldmodel_env.evaluation.blind.trials import Study
from worldmodel_env.evaluation.blind.votes import KEY_FORMAT, VERSION

PAGE, KEY = "index.html", "key.json"
_COLUMNS = 16


def write_study(out: Path, study: Study) -> tuple[Path, Path]:
    """Write OUT/index.html, which names no model, and OUT/key.json, which does.

    Args:
        out: folder, made if it is not there.
        study: what to show.

    Returns:
        The page and the key.

    Raises:
        InputError: Pillow is not installed, or the folder cannot be written.
    """
    sheets: list[str] = []
    numbers: dict[tuple[str, int], int] = {}
    for trial in study.trials:
        for model in (trial.left, trial.right):
            if (model, trial.episode) not in numbers:
                numbers[model, trial.episode] = len(sheets)
                sheets.append(_sheet(study.films[model][trial.episode]))
    frames = next(iter(study.films.values()))[0]
    content: dict[str, Any] = {
        "axes": [{"name": name, "question": question} for name, question in AXES.items()],
        "height": frames.shape[1],
        "width": frames.shape[2],
        "frames": len(frames),
        "columns": _COLUMNS,
        "lead": study.lead,
        "actions": [list(actions) for actions in study.actions],
        "trials": [
            {
                "pair": trial.name,
                "episode": trial.episode,
                "left": numbers[trial.left, trial.episode],
                "right": numbers[trial.right, trial.episode],
            }
            for trial in study.trials
        ],
        "sheets": sheets,
    }
    content["study"] = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    pairs = {
        trial.name: {"left": trial.left, "right": trial.right, "episode": trial.episode}
        for trial in study.trials
    }
    key = {"format": KEY_FORMAT, "version": VERSION, "study": content["study"], "pairs": pairs}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot make the folder {out} ({error.strerror}); choose another one."
        ) from None
    replace_file(out / KEY, (json.dumps(key, indent=1) + "\n").encode())
    replace_file(out / PAGE, _html(content).encode())
    return out / PAGE, out / KEY


def _html(content: dict[str, Any]) -> str:
    folder = files("worldmodel_env.evaluation.blind") / "page"
    body, style, script = (
        (folder / name).read_text() for name in ("blind.html", "blind.css", "blind.js")
    )
    # Inside a script element only "</" could end it.
    data = json.dumps(content).replace("</", "<\\/")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape('Which clip is better?')}</title><style>{style}</style></head>"
        f'<body>{body}<script type="application/json" id="study">{data}</script>'
        f"<script>{script}</script></body></html>\n"
    )


def _sheet(film: NDArray[np.uint8]) -> str:
    """All frames in one lossless picture, row by row, as a data URI: artefacts decide votes."""
    try:
        from PIL import Image
    except ImportError:
        raise InputError(
            'The page needs Pillow, which is not installed: pip install "worldmodel-env[train]".'
        ) from None
    length, height, width = film.shape[:3]
    rows = -(-length // _COLUMNS)
    padded = np.zeros((rows * _COLUMNS, height, width, 3), np.uint8)
    padded[:length] = film
    grid = padded.reshape(rows, _COLUMNS, height, width, 3).swapaxes(1, 2)
    buffer = io.BytesIO()
    picture = Image.fromarray(grid.reshape(rows * height, _COLUMNS * width, 3))
    picture.save(buffer, "WEBP", lossless=True)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
