"""Pictures brought to one size."""

import numpy as np
from numpy.typing import NDArray

from worldmodel_env.errors import InputError


def fit(picture: NDArray[np.uint8], resolution: int | None) -> NDArray[np.uint8]:
    """The largest square in a picture's middle, as `resolution` x `resolution` pixels.

    Args:
        picture: (H, W, 3) uint8.
        resolution: side in pixels; None returns the picture itself.

    Raises:
        InputError: Pillow is not installed.
    """
    height, width, _ = picture.shape
    if resolution is None or height == width == resolution:
        return picture
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise InputError(
            'resizing frames needs Pillow: pip install "worldmodel-env[train]"'
        ) from error
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    # Shrinking averages the pixels that each new one covers, as the simulators here do.
    method = Image.Resampling.BOX if side >= resolution else Image.Resampling.BICUBIC
    image = Image.fromarray(picture).resize(
        (resolution, resolution), method, box=(left, top, left + side, top + side)
    )
    return np.asarray(image)


def fit_all(pictures: NDArray[np.uint8], resolution: int | None) -> NDArray[np.uint8]:
    """`fit` for (T, H, W, 3)."""
    if resolution is None or pictures.shape[1:3] == (resolution, resolution):
        return pictures
    return np.stack([fit(picture, resolution) for picture in pictures])
