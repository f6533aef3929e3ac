"""What a training run leaves to look at: a JSONL file of metrics and a progress line with ETA."""

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError


class RunLog:
    """Metrics of one stage of one run: `folder/metrics.jsonl` is the truth, one object a line.

    A line's `step` is the number of optimizer steps it follows. Resuming from step k drops the
    lines after k, so the file reads as one undisturbed run.
    """

    def __init__(self, folder: Path, title: str, *, step: int, progress: float) -> None:
        """Open the log of a training that has done `step` steps, `progress` of its budget."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        kept = [line for line in self._lines() if _step(line) <= step] if step else []
        replace_file(self.path, "".join(f"{line}\n" for line in kept).encode())
        self._bar = tqdm(
            total=1.0,
            initial=progress,
            desc=title,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            dynamic_ncols=True,
            disable=None,  # off a terminal only the lines of `say` are printed
        )

    def _lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def progress(self, fraction: float, **shown: Any) -> None:
        """Move the progress line to `fraction` of the budget; `shown` appear behind it."""
        self._bar.update(fraction - self._bar.n)
        texts = [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items()]
        self._bar.set_postfix_str(", ".join(texts), refresh=False)

    def write(self, step: int, **metrics: float) -> None:
        """Append one line of metrics.

        Raises:
            InputError: one of them is not finite; the last checkpoint stands.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise InputError(
                    f"{name} is {value} at step {step}; training stopped and the last checkpoint "
                    f"in {self.path.parent} is kept: go on from it with a lower learning rate."
                )
        record = {"step": step, **{k: round(float(v), 6) for k, v in metrics.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._bar.write(text)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()


def _step(line: str) -> float:
    """The step of a line; infinite if a crash cut the line short."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return math.inf
