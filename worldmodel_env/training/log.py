"""What a training run leaves to look at: metrics as JSONL, the same for TensorBoard, progress."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from worldmodel_env.data.writer import replace_file
from worldmodel_env.training.events import Events


class RunLog:
    """Metrics of one stage of one run: `folder/metrics.jsonl` is the truth, one object a line.

    A line's `step` is the number of optimizer steps it follows. Resuming from step k drops the
    lines after k, so the file reads as one undisturbed run. TensorBoard's event files lie beside.
    """

    def __init__(self, folder: Path, title: str, *, step: int, progress: float) -> None:
        """Open the log of a training that has done `step` steps, `progress` of its budget."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        kept = [line for line in self._lines() if _step(line) <= step] if step else []
        replace_file(self.path, "".join(f"{line}\n" for line in kept).encode())
        self._events = Events(folder, step)
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
        """Append one line of finite metrics."""
        record = {"step": step, **{k: round(float(v), 6) for k, v in metrics.items()}}
        with self.path.open("a") as file:
            file.write(json.dumps(record, allow_nan=False) + "\n")
        self._events.scalars(step, metrics)

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Give PNG files, by name, to TensorBoard."""
        for name, path in pictures.items():
            self._events.picture(step, name, path)

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
        self._events.close()


class NoLog(RunLog):
    """For processes that do not lead: nothing is written or shown."""

    def __init__(self, folder: Path, title: str, *, step: int, progress: float) -> None:
        """Do nothing, like all that follows."""

    def progress(self, fraction: float, **shown: Any) -> None:
        """Do nothing."""

    def write(self, step: int, **metrics: float) -> None:
        """Do nothing."""

    def show(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Do nothing."""

    def say(self, text: str) -> None:
        """Do nothing."""

    def __exit__(self, *error: object) -> None:
        pass


def _step(line: str) -> float:
    """The step of a line; infinite if a crash cut the line short."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return math.inf
