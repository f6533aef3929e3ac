"""What a training run leaves to look at: a JSONL file of metrics and a progress line with ETA."""

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from worldmodel_env.errors import InputError


class RunLog:
    """Metrics of one stage of one run: `folder/metrics.jsonl` is the truth, one object a line.

    Resuming from step k drops the lines after k, so the file reads as one undisturbed run.
    """

    def __init__(self, folder: Path, title: str, *, step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "metrics.jsonl"
        kept = [line for line in self._lines() if json.loads(line)["step"] <= step] if step else []
        self.path.write_text("".join(f"{line}\n" for line in kept))
        self._bar = tqdm(
            total=1.0,
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
        text = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())
        self._bar.set_postfix_str(text, refresh=False)

    def write(self, step: int, **metrics: float) -> None:
        """Append one line of metrics.

        Raises:
            InputError: the loss is not finite; the last checkpoint stands.
        """
        if not math.isfinite(metrics.get("loss", 0.0)):
            raise InputError(
                f"the loss is {metrics['loss']} at step {step}; the last checkpoint is kept: resume "
                "from it with a lower learning rate."
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
