"""The importer for a format's name."""

from pathlib import Path

from worldmodel_env.data.importers.source import Importer
from worldmodel_env.errors import InputError

FORMATS = ("teco-dmlab", "teco-minecraft", "teco-habitat", "video-folder", "minari", "lerobot")
_OPTIONS = {"rate": ("video-folder",), "length": ("video-folder",), "camera": ("minari", "lerobot")}


def make_importer(
    format: str,
    root: Path,
    *,
    resolution: int | None = None,
    rate: float | None = None,
    length: int | None = None,
    camera: str | None = None,
) -> Importer:
    """The importer of the set at `root`.

    Args:
        format: one of `FORMATS`.
        root: the set, as it was published.
        resolution: side of the frames; None keeps them.
        rate: frames per second, of videos.
        length: frames per episode, into which videos are cut.
        camera: which images, of sets that have several.

    Raises:
        InputError: the format is unknown, an option is none of its own, or out of range.
    """
    for option, value in (("rate", rate), ("length", length), ("camera", camera)):
        if value is not None and format not in _OPTIONS[option]:
            raise InputError(
                f"--{option} {value} is for {' and '.join(_OPTIONS[option])}, not for {format}: "
                "leave it out"
            )
    if resolution is not None and resolution < 8:
        raise InputError(f"--resolution is {resolution}: give 8 pixels or more, such as 64")
    match format:
        case "teco-dmlab" | "teco-minecraft" | "teco-habitat":
            from worldmodel_env.data.importers.teco import TecoImporter

            return TecoImporter(root, format, resolution)
        case "video-folder":
            from worldmodel_env.data.importers.video_folder import VideoFolderImporter

            return VideoFolderImporter(root, resolution, rate, length)
        case "minari":
            from worldmodel_env.data.importers.minari import MinariImporter

            return MinariImporter(root, resolution, camera)
        case "lerobot":
            from worldmodel_env.data.importers.lerobot import LeRobotImporter

            return LeRobotImporter(root, resolution, camera)
    raise InputError(f"--format is {format!r}: use one of {', '.join(FORMATS)}")
