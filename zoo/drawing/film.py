"""The film of a training run: what it drew of the same latents, epoch by epoch, as a GIF."""

import pathlib
import re

import numpy as np

from zoo.data import images
from zoo.drawing import pictures
from zoo.errors import InputError

_OF_SAMPLES = re.compile(r"epoch_(\d+)\.png")
_SECONDS = 12.0  # of the whole film, where frames are neither too slow nor too fast then
_SLOWEST, _FASTEST, _LAST = 0.5, 0.05, 2.0  # seconds of a frame, and of the last one
_MOST = round(_SECONDS / _FASTEST)  # frames, when nothing else is asked for


def of_run(workdir: pathlib.Path) -> dict[int, pathlib.Path]:
    """The pictures of samples that a run has drawn, by epoch, in their order.

    Raises:
      InputError: there are none.
    """
    names = {path: _OF_SAMPLES.fullmatch(path.name) for path in (workdir / "samples").glob("*.png")}
    found = {int(match[1]): path for path, match in names.items() if match}
    if not found:
        raise InputError(
            f"{workdir / 'samples'} has no pictures of samples, epoch_0001.png and so on, to make "
            "a film of"
        )
    return dict(sorted(found.items()))


def save(
    path: pathlib.Path, drawn: dict[int, pathlib.Path], name: str, num: int | None = None
) -> int:
    """Writes a GIF with a frame for each epoch, which names it, at least 900 pixels wide.

    Args:
      path: of the GIF.
      drawn: epoch -> its picture; see `of_run`.
      name: of the model.
      num: frames at most, the first and the last among them; 240 when left out.

    Returns:
      The number of frames.

    Raises:
      InputError: a picture cannot be read.
    """
    epochs = list(drawn)
    num = _MOST if num is None else num
    if num < len(epochs):
        chosen = np.linspace(len(epochs) - 1, 0, num).round().astype(int)[::-1]  # the last is one
        epochs = [epochs[i] for i in chosen]
    read = {epoch: _read(drawn[epoch]) for epoch in epochs}
    gray = all(picture.ndim == 2 for picture in read.values())
    frames = [
        pictures.titled(_wide(p if gray else _in_color(p)), f"{name}: epoch {e} of {max(drawn)}")
        for e, p in read.items()
    ]
    seconds = min(max(_SECONDS / len(frames), _FASTEST), _SLOWEST)
    pictures.save_gif(path, frames, [*[seconds] * (len(frames) - 1), _LAST])
    return len(frames)


def _read(path: pathlib.Path) -> np.ndarray:
    """A picture, uint8 [H, W] or [H, W, 3]."""
    try:
        return images.decode(path, "L" if images.header(path).gray else "RGB", None)
    except images.Unreadable as e:
        raise InputError(f"{path} cannot be read: {e}") from None


def _in_color(picture: np.ndarray) -> np.ndarray:
    return picture if picture.ndim == 3 else picture[..., None].repeat(3, -1)


def _wide(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, C] in whole pixels, so that it is at least 900 wide."""
    picture = picture.reshape(*picture.shape[:2], -1)
    return pictures.enlarged(picture, pictures.least_zoom(picture))
