"""Frames to an mp4 that any browser plays."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.data.writer import replace_file
from worldmodel_env.errors import InputError


def write_video(path: Path, frames: NDArray[np.uint8], *, fps: int = 15, scale: int = 4) -> None:
    """Write H.264 in yuv420p.

    Args:
        path: the mp4, replaced atomically.
        frames: (T, H, W, 3) uint8.
        fps: frames per second.
        scale: pixels of the video per pixel of a frame; pixels stay sharp.

    Raises:
        InputError: PyAV is not installed, or the file cannot be written.
    """
    try:
        import av
    except ImportError:
        raise InputError(
            f'PyAV is not installed, so {path} cannot be written; run `pip install "worldmodel-env'
            '[train]"`.'
        ) from None
    import io

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "18"})
        stream.height, stream.width = (scale * n for n in frames.shape[1:3])
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = np.ascontiguousarray(frame.repeat(scale, 0).repeat(scale, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    replace_file(path, buffer.getvalue())
