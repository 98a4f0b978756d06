"""Grids of images and scatter plots of points, as arrays and as PNG files."""

import math
import pathlib

import numpy as np
from PIL import Image

from zoo.core import files

PAPER, REAL, MADE = (250, 250, 250), (170, 170, 170), (214, 39, 40)  # colors of a scatter plot


def grid(images, columns: int | None = None) -> np.ndarray:
    """Images side by side, row by row, with a white line of a pixel between them.

    Args:
      images: float [N, H, W, C] in [0, 1] or uint8, C = 1 or 3; or [rows, columns, H, W, C].
      columns: how many in a row; about a square when left out.

    Returns:
      uint8 [height, width, C].
    """
    images = np.asarray(images)
    if images.ndim == 5:
        columns = images.shape[1]
        images = images.reshape(-1, *images.shape[2:])
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (h + 1), i % columns * (w + 1)
        canvas[top : top + h, left : left + w] = _levels(image)  # one by one: there may be many
    return canvas


def scatter(made: np.ndarray, real: np.ndarray) -> np.ndarray:
    """2-D toy data: real points gray, generated ones red on top; a pixel is a level.

    Args:
      made: images [N, 1, 2, 1] that are points (x, y), float in [0, 1] or uint8.
      real: likewise, [M, 1, 2, 1].

    Returns:
      uint8 [256, 256, 3]; x grows to the right, and y upwards.
    """
    canvas = np.full((256, 256, 3), PAPER, np.uint8)
    for points, color in ((real, REAL), (made, MADE)):
        x, y = _levels(points).reshape(-1, 2).T.astype(int)
        canvas[255 - y, x] = color
    return canvas


def _levels(images) -> np.ndarray:
    """Images in [0, 1] as uint8; those that are uint8 already as they are."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def save_png(path: pathlib.Path, picture: np.ndarray, zoom: int = 1) -> None:
    """Writes a uint8 picture [height, width, C] atomically, each pixel `zoom` times as large."""
    picture = picture.repeat(zoom, 0).repeat(zoom, 1)
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    files.write_atomically(path, lambda f: image.save(f, format="PNG"))
