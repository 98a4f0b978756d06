"""Class folders of PNG or JPEG files: PATH/<class>/*, or PATH/train/<class>/* and PATH/test/..."""

import hashlib
import math
import os
import pathlib
import struct

import numpy as np
from PIL import Image, ImageOps

from zoo.data import idx
from zoo.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg"}
GREY = {"1", "L", "LA", "I;16", "I"}
RESIZE = "centre crop to a square, then Pillow's antialiased bicubic resize"


def read(path: pathlib.Path, image_size: int | None):
    """Reads a folder of images.

    Images are grey [.., 1] if every one is, else RGB [.., 3]; upright, as their EXIF says; what is
    transparent is white. Files are in the order of a hash of their names, so that classes are mixed
    and the end of `train`, the validation split, is like the rest. Without `train` and `test`
    folders the last tenth is the test split.

    Args:
      path: the folder.
      image_size: side after a resize (see `RESIZE`); None when all are square and of one size.

    Returns:
      (train images, train labels, test images, test labels, class names).

    Raises:
      InputError: no images, or one that cannot be used.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    split = (path / "train").is_dir() and (path / "test").is_dir()
    root = path / "train" if split else path
    names = _classes(root)
    train = _listing(root, names)
    empty = set(range(len(names))) - {label for _, label in train}
    if train and empty:
        raise InputError(f"{root / names[min(empty)]}: no PNG or JPEG files in this class folder")
    if not train:
        raise InputError(f"{root}: no PNG or JPEG files in class folders")
    if split:
        test = _listing(path / "test", names)
        strangers = set(_classes(path / "test")) - set(names)
        if strangers:
            raise InputError(f"{path / 'test' / min(strangers)}: a class that train does not have")
        if not test:
            raise InputError(f"{path / 'test'}: no PNG or JPEG files in class folders")
    else:
        cut = len(train) - max(1, len(train) // 10)
        train, test = train[:cut], train[cut:]
    grey, size = True, image_size
    for file, _ in train + test:
        mode, (width, height) = _header(file)
        grey = grey and mode in GREY
        if image_size is None:
            size = size or width
            if (width, height) != (size, size):
                raise InputError(
                    f"{file}: is {width}x{height}, and images must be square and of one size "
                    f"({size}x{size} so far): give --image_size to resize them"
                )
    shape = (size, size, 1 if grey else 3)
    total = (len(train) + len(test)) * math.prod(shape)
    if total > idx.MAX_BYTES:
        raise InputError(
            f"{path}: {len(train) + len(test)} images of {size}x{size} take {total:,} bytes, more "
            "than can be read: give a smaller --image_size"
        )
    mode = "L" if grey else "RGB"
    result = []
    for part in (train, test):
        images = np.empty((len(part), *shape), np.uint8)
        for i, (file, _) in enumerate(part):
            images[i] = _decode(file, mode, image_size).reshape(shape)
        result += [images, np.array([y for _, y in part], np.int32)]
    return *result, tuple(names)


def _classes(root: pathlib.Path) -> list[str]:
    """The names of the folders in it, but for hidden ones."""
    names = sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    for name in names:
        if os.fsencode(name).decode(errors="replace") != name:
            raise InputError(
                f"{root}: the name of the class folder {name!r} is not UTF-8: rename it"
            )
    return names


def _listing(root: pathlib.Path, names: list[str]) -> list[tuple[pathlib.Path, int]]:
    items = [
        (file, label)
        for label, name in enumerate(names)
        if (root / name).is_dir()  # not every class need be in `test`
        for file in (root / name).iterdir()
        if file.suffix.lower() in SUFFIXES
    ]
    items.sort(key=lambda item: hashlib.sha256(os.fsencode(item[0].relative_to(root))).digest())
    return items


def _header(file: pathlib.Path) -> tuple[str, tuple[int, int]]:
    try:
        with Image.open(file) as image:
            return image.mode, image.size
    except (OSError, ValueError, Image.DecompressionBombError) as e:
        raise InputError(f"{file}: cannot be decoded ({e})") from None


def _decode(file: pathlib.Path, mode: str, image_size: int | None) -> np.ndarray:
    try:
        with Image.open(file) as image:
            image = ImageOps.exif_transpose(image)
            if image.has_transparency_data:
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image.convert("RGBA"))
            if image.mode.startswith("I"):  # 16 bits: Pillow would clip, not scale
                pixels = np.asarray(image).astype(np.float64) / 257
                image = Image.fromarray(np.round(pixels).astype(np.uint8))
            image = image.convert(mode)
            if image_size is not None:
                # Whole pixels (ImageOps.fit would crop by halves, and blur).
                side = min(image.size)
                left, top = (image.width - side) // 2, (image.height - side) // 2
                image = image.crop((left, top, left + side, top + side))
                image = image.resize((image_size,) * 2, Image.Resampling.BICUBIC)
            return np.asarray(image)
    except (OSError, ValueError, SyntaxError, struct.error) as e:
        raise InputError(f"{file}: cannot be decoded ({e})") from None
