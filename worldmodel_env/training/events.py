"""TensorBoard's event files: a copy of a run's metrics and pictures, for browsing."""

import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

FLUSH_SECONDS = 20


def require_tensorboard() -> None:
    """Refuse before long work that would log to it.

    Raises:
        InputError: tensorboard is not installed.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise InputError(
            'Training logs need tensorboard, which is not installed: pip install "worldmodel-env'
            '[train]".'
        ) from None


class Events:
    """One event file in `folder`, begun with the first thing written.

    What earlier files hold beyond `step`, undone by a crash, is hidden by TensorBoard.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Prepare the file of a training that goes on after `step` steps."""
        self._folder = folder
        self._begin = step + 1
        self._writer: EventFileWriter | None = None

    def scalars(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add numbers by name."""
        values = [{"tag": name, "simple_value": float(v)} for name, v in metrics.items()]
        self._add(step, values)

    def picture(self, step: int, name: str, png: Path) -> None:
        """Add a PNG file."""
        content = png.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
        image = {"encoded_image_string": content, "width": width, "height": height}
        self._add(step, [{"tag": name, "image": image}])

    def close(self) -> None:
        """Write everything out."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, step: int, values: list[dict[str, Any]]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._folder), flush_secs=FLUSH_SECONDS)
            start = SessionLog(status=SessionLog.START)
            self._writer.add_event(
                Event(wall_time=time.time(), step=self._begin, session_log=start)
            )
        event = Event(wall_time=time.time(), step=step, summary={"value": values})
        self._writer.add_event(event)
