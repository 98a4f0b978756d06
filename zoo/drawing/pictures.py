"""Grids of images and scatter plots of points, as arrays and as PNG files."""

import functools
import math
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.core import files

LEAST_WIDTH = 900  # pixels, of a grid with its names
_FONT, _SMALLEST_FONT, _MARGIN = 16, 9, 4  # pixels
_LINES = 3  # of a name, at most

PAPER, REAL, MADE = (250, 250, 250), (170, 170, 170), (214, 39, 40)  # colors of a scatter plot


def grid(images, columns: int | None = None) -> np.ndarray:
    """Images side by side, row by row, with a white line of a pixel between them.

    Args:
      images: float [N, H, W, C] in [0, 1] or uint8, C = 1 or 3; or [rows, columns, H, W, C].
      columns: how many in a row; about a square when left out.

    Returns:
      uint8 [height, width, C].
    """
    images, columns = _in_columns(images, columns)
    n, h, w, c = images.shape
    rows = math.ceil(n / columns)
    canvas = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, c), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (h + 1), i % columns * (w + 1)
        canvas[top : top + h, left : left + w] = levels(image)  # one by one: there may be many
    return canvas


def enlarged(picture: np.ndarray, zoom: int) -> np.ndarray:
    """A picture [height, width, C], each pixel `zoom` times as large."""
    return picture.repeat(zoom, 0).repeat(zoom, 1)


def least_zoom(picture: np.ndarray) -> int:
    """By which a picture [height, width, C] is at least `LEAST_WIDTH` pixels wide."""
    return math.ceil(LEAST_WIDTH / picture.shape[1])


def _in_columns(images, columns: int | None) -> tuple[np.ndarray, int]:
    """Images [N, H, W, C] and how many are in a row: about a square where that is not known."""
    images = np.asarray(images)
    if images.ndim == 5:
        return images.reshape(-1, *images.shape[2:]), images.shape[1]
    return images, columns or math.ceil(math.sqrt(len(images)))


def figure(
    images,
    columns: int | None = None,
    heads: Sequence[str] = (),
    rows: Sequence[str] = (),
    zoom: int = 0,
) -> np.ndarray:
    """A grid that a person can read: large, with a name above each column and beside each row.

    Args:
      images: as for `grid`.
      columns: how many in a row; about a square when left out.
      heads: names of the columns; none when left out.
      rows: names of the rows; none when left out.
      zoom: how large a pixel is; 0: so that the picture is at least 900 pixels wide.

    Returns:
      uint8 [height, width, C]; C is 1 if images are gray.
    """
    images, columns = _in_columns(images, columns)
    canvas = grid(images, columns)
    zoom = zoom or least_zoom(canvas)
    canvas = enlarged(canvas, zoom)
    if not (heads or rows):
        return canvas
    cell_height, cell_width = (zoom * (side + 1) for side in images.shape[1:3])
    font = _fitting(heads, cell_width - _MARGIN) if heads else _font(_FONT)
    texts = [_in_lines(name, font, cell_width - _MARGIN) for name in heads[:columns]]
    lines = max((text.count("\n") + 1 for text in texts), default=0)
    top = lines * sum(font.getmetrics()) + (_MARGIN if texts else 0)
    beside = _font(max(_SMALLEST_FONT, min(_FONT, cell_height - _MARGIN)))
    left = max((math.ceil(beside.getlength(name)) for name in rows), default=-2 * _MARGIN)
    left += 2 * _MARGIN
    height, width = canvas.shape[:2]
    paper = Image.new(
        "L" if canvas.shape[-1] == 1 else "RGB", (left + width, top + height), "white"
    )
    paper.paste(Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas), (left, top))
    pen = ImageDraw.Draw(paper)
    for i, text in enumerate(texts):
        x = left + i * cell_width + (cell_width - zoom) // 2
        pen.multiline_text(
            (x, top - _MARGIN), text, "black", font, anchor="md", align="center", spacing=0
        )
    for i, name in enumerate(rows):
        y = top + i * cell_height + (cell_height - zoom) // 2
        pen.text((left - _MARGIN, y), name, "black", beside, anchor="rm")
    found = np.asarray(paper)
    return found[..., None] if found.ndim == 2 else found


@functools.cache
def _font(size: int):
    return ImageFont.load_default(size)


def _fitting(names: Sequence[str], width: int):
    """The largest font in which the longest word of all names is no wider than that."""
    words = [word for name in names for word in name.split()] or [""]
    for size in range(_FONT, _SMALLEST_FONT, -1):
        if max(map(_font(size).getlength, words)) <= width:
            return _font(size)
    return _font(_SMALLEST_FONT)


def _in_lines(name: str, font, width: int) -> str:
    """A name in at most three lines that are no wider than that; what does not fit is cut."""
    lines = [""]
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > _LINES:
        lines = [*lines[: _LINES - 1], lines[_LINES - 1] + "\u2026"]

    def cut(line: str) -> str:
        if font.getlength(line) <= width:
            return line
        while line and font.getlength(line + "\u2026") > width:
            line = line[:-1]
        return line + "\u2026"

    return "\n".join(map(cut, lines))


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
        x, y = levels(points).reshape(-1, 2).T.astype(int)
        canvas[255 - y, x] = color
    return canvas


def levels(images) -> np.ndarray:
    """Images in [0, 1] as uint8; those that are uint8 already as they are."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    return np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)


def titled(picture: np.ndarray, title: str) -> np.ndarray:
    """A picture, uint8 [height, width, C], below a line of text."""
    font = _font(2 * _FONT)
    top = sum(font.getmetrics()) + 2 * _MARGIN
    line = Image.new("L", (picture.shape[1], top), "white")
    ImageDraw.Draw(line).text((line.width // 2, _MARGIN), title, "black", font, anchor="ma")
    line = np.asarray(line)[..., None].repeat(picture.shape[-1], -1)
    return np.concatenate([line, picture])


def save_gif(path: pathlib.Path, frames: Sequence[np.ndarray], seconds: Sequence[float]) -> None:
    """Writes uint8 pictures [height, width, C] as an endless film, atomically.

    Smaller pictures have white to the right and below. What is gray stays as it is; colors are
    reduced to 256 a frame.

    Args:
      path: of the file.
      frames: the pictures.
      seconds: that each is shown.
    """
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    shown = []
    for frame in frames:
        below, right = height - frame.shape[0], width - frame.shape[1]
        frame = np.pad(frame, ((0, below), (0, right), (0, 0)), constant_values=255)
        shown.append(Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame))
    settings = {"duration": [round(1000 * s) for s in seconds], "loop": 0, "save_all": True}
    first, *others = shown
    files.write_atomically(
        path, lambda f: first.save(f, format="GIF", append_images=others, **settings)
    )


def save_png(path: pathlib.Path, picture: np.ndarray, zoom: int = 1) -> None:
    """Writes a uint8 picture [height, width, C] atomically, each pixel `zoom` times as large."""
    picture = enlarged(picture, zoom)
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    files.write_atomically(path, lambda f: image.save(f, format="PNG"))
