"""Decoded pictures in one file of a cache, from which they are read without being loaded.

A folder of pictures is decoded once, by all cores. What was decoded is known by the names, sizes
and times of the files, and made again where one of them has changed. `ZOO_CACHE` is the folder of
the cache, ~/.cache/zoo when left out.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import math
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zoo.core import files
from zoo.errors import InputError

SMALL = 16 << 20  # bytes of files that are decoded anew each time, and not kept
IN_MEMORY = 1 << 30  # bytes of pixels that are loaded; more are read from the file
_VERSION = 1  # of what is written; raise it where the same files come to other pixels
_BLOCK = 1 << 26  # bytes moved at a time
_AT_ONCE = 32  # pictures that a thread decodes before it looks for more
_SHOWN = 500  # pictures, of more than which a bar shows how far the work is

Decode = Callable[[int, np.ndarray], str | None]
"""Puts picture i into its place, uint8 [H, W, C]; or says why it cannot be decoded."""


def cache() -> pathlib.Path:
    """Where decoded pictures are kept."""
    folder = pathlib.Path(os.environ.get("ZOO_CACHE") or "~/.cache/zoo")
    return folder.expanduser() / "pictures"


def is_on_disk(array: np.ndarray) -> bool:
    """Whether an array is a part of a file, and not in memory."""
    return isinstance(array, np.memmap) and array.base is not None


def fingerprint(paths: Sequence[str], root: str) -> tuple[str, int]:
    """A digest of names, sizes and times of files, and how many bytes they have.

    Args:
      paths: of the files, in an order.
      root: the folder to which names are relative.
    """
    digest, total = hashlib.sha256(), 0
    for path in paths:
        try:
            found = os.stat(path)
        except OSError:  # which decoding will tell
            continue
        total += found.st_size
        name = os.fsencode(path[len(root) :])
        digest.update(b"%s\0%d\0%d\0" % (name, found.st_size, found.st_mtime_ns))
    return digest.hexdigest(), total


class Pictures:
    """Pixels of many files, and what is known of them.

    Attributes:
      pixels: uint8 [N, H, W, C], without those that could not be decoded.
      broken: number of a file -> why it cannot be decoded.
    """

    def __init__(self, pixels: np.ndarray, broken: dict[int, str], folder=None, known=None):
        self.pixels, self.broken = pixels, broken
        self._folder, self._known = folder, known or {}

    def remembered(self, key: str, compute: Callable[[], str]) -> str:
        """What `compute` gives, computed once for a store of this key."""
        known = self._known.setdefault("digests", {})
        if key not in known:
            known[key] = compute()
            if self._folder is not None:
                with contextlib.suppress(OSError):
                    files.write_json(self._folder / "about.json", self._known)
        return known[key]


def in_memory(count: int, shape: Sequence[int], decode: Decode, what: str) -> Pictures:
    """Decodes into memory."""
    pixels = np.empty((count, *shape), np.uint8)
    broken = _decode_all(pixels, decode, what)
    return Pictures(_without(pixels, broken), broken)


def known(options: dict[str, Any], mark: str) -> Pictures | None:
    """The pictures of a store that was made with these options of the same files, if there is one.

    Args:
      options: what the pixels depend on beside the files, with the folder's path.
      mark: the `fingerprint` of the files.
    """
    folder = _folder(options)
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        if about["fingerprint"] != mark:
            return None
        shape, path = tuple(about["shape"]), folder / "pixels"
        if path.stat().st_size != math.prod(shape):
            return None
        broken = {int(i): why for i, why in about["broken"].items()}
        return Pictures(_opened(path, shape), broken, folder, about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged, or of another version


def make(
    options: dict[str, Any],
    mark: str,
    count: int,
    shape: Sequence[int],
    decode: Decode,
    what: str,
    keep: Callable[[dict[int, str]], bool],
) -> Pictures:
    """Decodes into a store, which takes the place of an older one.

    Args:
      options: as for `known`.
      mark: likewise.
      count: N, how many files there are.
      shape: (H, W, C) of each picture.
      decode: decodes one.
      what: is counted by the progress bar.
      keep: whether the store is of use, by what is broken.

    Raises:
      InputError: there is not enough room on the disk.
      OSError: it cannot be written.
    """
    import filelock

    folder = _folder(options)
    folder.parent.mkdir(parents=True, exist_ok=True)
    size = count * math.prod(shape)
    if (free := shutil.disk_usage(folder.parent).free) < size + (1 << 26):
        raise InputError(
            f"{count:,} pictures of {'x'.join(map(str, shape))} take {size / 1e9:.1f} GB in "
            f"{folder.parent}, where {free / 1e9:.1f} GB are free: make room, set ZOO_CACHE to "
            "another folder, or give a smaller --image_size"
        )
    found: dict[int, str] = {}

    def write(place: pathlib.Path) -> None:
        path = place / "pixels"
        with open(path, "xb") as f:
            f.truncate(size)
        pixels = np.memmap(path, np.uint8, "r+", shape=(count, *shape))
        found.update(_decode_all(pixels, decode, what))
        if not keep(found):
            raise _OfNoUse
        pixels = _without(pixels, found)
        about = {
            "options": options,
            "fingerprint": mark,
            "shape": pixels.shape,
            "broken": found,
            "digests": {},
        }
        pixels.flush()
        length = pixels.size
        del pixels
        os.truncate(path, length)
        files.write_json(place / "about.json", about)

    with filelock.FileLock(f"{folder}.lock"):
        if (other := known(options, mark)) is not None:  # another process was faster
            return other
        files.remove_leftovers(folder.parent, f"{folder.name}.*")
        try:
            files.write_folder(folder, write, replace=True)
        except _OfNoUse:
            return Pictures(np.empty((0, *shape), np.uint8), found)
    made = known(options, mark)
    if made is None:
        raise OSError(f"{folder} was made, and cannot be read")
    return made


class _OfNoUse(Exception):
    """A store that nobody will read."""


def _folder(options: dict[str, Any]) -> pathlib.Path:
    text = json.dumps([_VERSION, options], sort_keys=True)
    name = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:24]
    return cache() / name


def _opened(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    if math.prod(shape) <= IN_MEMORY:
        return np.fromfile(path, np.uint8).reshape(shape)
    return np.memmap(path, np.uint8, "r", shape=shape)


def _decode_all(pixels: np.ndarray, decode: Decode, what: str) -> dict[int, str]:
    """Fills an array, by a thread for each core; number of a picture -> why it is broken."""
    count = len(pixels)
    bar = None
    if count > _SHOWN and sys.stderr.isatty():
        import keras

        bar = keras.utils.Progbar(count, unit_name=what)

    def some(start: int) -> dict[int, str | None]:
        return {i: decode(i, pixels[i]) for i in range(start, min(start + _AT_ONCE, count))}

    broken = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(some, range(0, count, _AT_ONCE)):
            broken |= {i: why for i, why in found.items() if why is not None}
            if bar is not None:
                bar.add(len(found))
    return broken


def _without(pixels: np.ndarray, broken: dict[int, str]) -> np.ndarray:
    """The array without these pictures, the others moved together in their order."""
    if not broken:
        return pixels
    good = np.delete(np.arange(len(pixels)), list(broken))
    step = max(1, _BLOCK // max(1, pixels[0].size))
    for start in range(0, len(good), step):
        some = good[start : start + step]
        pixels[start : start + len(some)] = pixels[some]
    return pixels[: len(good)]
