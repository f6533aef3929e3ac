"""Frames of video files, at a rate and of a size."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.importers.picture import fit
from worldmodel_env.errors import InputError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

SUFFIXES = frozenset({".mp4", ".mkv", ".webm", ".avi", ".mov", ".m4v"})

_ROUNDING = 1e-3
"""Seconds by which a frame's time may be off: Matroska stores milliseconds."""


def read_video(
    path: Path,
    *,
    resolution: int | None = None,
    rate: float | None = None,
    start: float = 0.0,
    frames: int | None = None,
) -> NDArray[np.uint8]:
    """Decode a video, or part of it.

    Args:
        path: the file; its first video stream is taken.
        resolution: side of the square to cut from each frame's middle; None keeps frames as is.
        rate: frames per second to keep: those shown at `start`, `start` + 1/rate, ... seconds.
            None keeps every frame from `start` on.
        start: seconds from the first frame.
        frames: at most so many.

    Returns:
        (T, H, W, 3) uint8.

    Raises:
        InputError: the file does not decode, or holds no such frames.
    """
    kept: list[NDArray[np.uint8]] = []
    with _opened(path) as container:
        for picture in _pictures(container, path, rate, start):
            kept.append(fit(picture, resolution))
            if kept[-1].shape != kept[0].shape:
                raise InputError(f"{path} changes its resolution midway: give --resolution")
            if len(kept) == frames:
                break
    if not kept:
        raise InputError(f"{path} has no frame at {start:g} s: leave it out")
    return np.stack(kept)


def duration(path: Path) -> float:
    """Seconds that a video says it lasts; InputError if it cannot be opened or does not say."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        if container.duration is not None:
            return container.duration / 1e6
    raise InputError(f"{path} does not say how long it lasts: convert it to .mp4 first")


def _opened(path: Path) -> "InputContainer":
    try:
        import av
    except ModuleNotFoundError as error:
        raise InputError(
            'reading videos needs PyAV: pip install "worldmodel-env[train]"'
        ) from error
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"{path} does not open as a video ({_reason(error)}): leave it out"
        ) from error
    if not container.streams.video:
        container.close()
        raise InputError(f"{path} holds no video stream: leave it out")
    container.streams.video[0].thread_type = "NONE"  # the workers are processes
    return container


def _pictures(
    container: "InputContainer", path: Path, rate: float | None, start: float
) -> Iterator[NDArray[np.uint8]]:
    """The pictures to keep, (H, W, 3) uint8, in order."""
    import av

    try:
        timed = _timed(container, path, start)
        kept = (f for t, f in timed if t > -_ROUNDING) if rate is None else _sampled(timed, rate)
        for frame in kept:
            picture = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
            yield np.rot90(picture, frame.rotation // 90)  # phones store how they were held
    except av.FFmpegError as error:
        raise InputError(f"{path} does not decode ({_reason(error)}): leave it out") from error


def _timed(
    container: "InputContainer", path: Path, start: float
) -> Iterator[tuple[float, "VideoFrame"]]:
    """Frames with their times in seconds after `start`; those just before it come first."""
    stream = container.streams.video[0]
    base, origin = float(stream.time_base or 1), stream.start_time or 0
    if start > 0:
        container.seek(origin + int(start / base), stream=stream)  # to the key frame before it
    for frame in container.decode(stream):
        if frame.is_corrupt:
            raise InputError(f"{path} does not decode (damaged at {frame.time} s): leave it out")
        if frame.pts is None:
            raise InputError(f"{path} has frames without a time: convert it to .mp4 first")
        yield (frame.pts - origin) * base - start, frame


def _sampled(timed: Iterator[tuple[float, "VideoFrame"]], rate: float) -> Iterator["VideoFrame"]:
    """The frame that is shown at 0, 1/rate, 2/rate, ... seconds."""
    taken, shown, until = 0, None, 0.0
    for time, frame in timed:
        while shown is not None and taken / rate < time - _ROUNDING:
            yield shown
            taken += 1
        shown = frame
        until = time + float((frame.duration or 0) * (frame.time_base or 1))
    while shown is not None and taken / rate < until - _ROUNDING:  # as long as the last one lasts
        yield shown
        taken += 1


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
