"""Grids of images, as arrays and as PNG files."""

import math
import pathlib

import numpy as np
from PIL import Image


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
    if images.dtype != np.uint8:
        images = np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)
    n, h, w, c = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (h + 1), i % columns * (w + 1)
        canvas[top : top + h, left : left + w] = image
    return canvas


def save_png(path: pathlib.Path, picture: np.ndarray, zoom: int = 1) -> None:
    """Writes a uint8 picture [height, width, C], each pixel `zoom` times as large."""
    picture = picture.repeat(zoom, 0).repeat(zoom, 1)
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(path)
