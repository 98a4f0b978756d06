"""Decoded pictures in one file of a cache, from which they are read without being loaded.

Pictures are decoded once, by all cores. What was decoded is known by the names, sizes
and times of the files, and made again where one of them has changed. `ZOO_CACHE` is the folder of
the cache, ~/.cache/zoo when left out.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import itertools
import json
import math
import mmap
import os
import pathlib
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from zoo.core import files
from zoo.errors import InputError

SMALL = 16 << 20  # bytes of files that are decoded anew each time, and not kept
_SPARE = 1 << 26  # bytes that a disk keeps free
IN_MEMORY = 1 << 30  # bytes of pixels that are loaded; more are read from the file
_VERSION = 1  # of what is written; raise it where the same files come to other pixels
_BLOCK = 1 << 26  # bytes moved at a time
_AT_ONCE = 8  # pictures that a thread decodes before it looks for more
_SHOWN = 500  # pictures, of more than which a bar shows how far the work is


@dataclasses.dataclass(frozen=True)
class Undecoded:
    """N pictures, as they are found.

    Attributes:
      count: N.
      shape: (H, W, C) of each, once it is decoded.
      items: gives (place, source, label) of each, in any order, anew at each call. The place is
        its number among all.
      decode: puts the picture of a source into an array, uint8 [H, W, C]; or says why it cannot.
    """

    count: int
    shape: tuple[int, int, int]
    items: Callable[[], Iterable[tuple[int, Any, int]]]
    decode: Callable[[Any, np.ndarray], str | None]


def cache() -> pathlib.Path:
    """Where decoded pictures are kept."""
    folder = pathlib.Path(os.environ.get("ZOO_CACHE") or "~/.cache/zoo")
    return folder.expanduser() / "pictures"


def is_on_disk(array: np.ndarray) -> bool:
    """Whether an array is a part of a file, and not in memory."""
    return isinstance(array, np.memmap) and array.base is not None


def rows(array: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The rows of these numbers, in memory, of an array that may be a part of a file.

    The system is told that reads of the file follow no order. Otherwise it would read 128 kB or
    more around each row: a batch of 64 pictures of 12 kB then costs 96 ms of processor time, and
    not 1 ms.
    """
    if is_on_disk(array) and hasattr(mmap, "MADV_RANDOM"):
        whole = array
        while isinstance(whole.base, np.ndarray):
            whole = whole.base
        whole.base.madvise(mmap.MADV_RANDOM)
    return np.asarray(array[index])


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
      labels: int32 [N], likewise.
      broken: place of a picture -> why it cannot be decoded.
    """

    def __init__(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        broken: dict[int, str],
        folder: pathlib.Path | None = None,
        known: dict[str, Any] | None = None,
    ):
        self.pixels, self.labels, self.broken = pixels, labels, broken
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


def in_memory(found: Undecoded) -> Pictures:
    """Decodes into memory."""
    pixels = np.empty((found.count, *found.shape), np.uint8)
    labels, broken = _decode_all(found, pixels)
    return Pictures(_without(pixels, broken), _without(labels, broken), broken)


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
        labels = np.load(folder / "labels.npy", allow_pickle=False)
        if labels.shape != shape[:1]:
            return None
        return Pictures(_opened(path, shape), labels, broken, folder, about)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
        return None  # damaged, or of another version


def make(
    options: dict[str, Any],
    mark: str,
    found: Undecoded,
    keep: Callable[[dict[int, str]], bool],
    again: bool = False,
) -> Pictures:
    """Decodes into a store, which takes the place of an older one.

    Args:
      options: as for `known`.
      mark: likewise.
      found: the pictures.
      keep: whether the store is of use, by what is broken.
      again: whether one of these options and files is not what is wanted.

    Raises:
      InputError: there is not enough room on the disk.
      OSError: it cannot be written.
    """
    import filelock

    folder, shape = _folder(options), (found.count, *found.shape)
    folder.parent.mkdir(parents=True, exist_ok=True)
    size, broken = math.prod(shape), {}
    free, older = shutil.disk_usage(folder.parent).free, 0
    with contextlib.suppress(OSError):
        older = (folder / "pixels").stat().st_size
    if free + older < size + _SPARE:
        raise InputError(
            f"{found.count:,} pictures of {'x'.join(map(str, found.shape))} take {size / 1e9:.1f} "
            f"GB in {folder.parent}, where {free / 1e9:.1f} GB are free: make room, set "
            "ZOO_CACHE to another folder, or give a smaller --image_size"
        )

    def write(place: pathlib.Path) -> None:
        path = place / "pixels"
        with open(path, "xb") as f:
            f.truncate(size)
            if hasattr(os, "posix_fallocate"):  # a disk that is full says so now, by an error
                os.posix_fallocate(f.fileno(), 0, size)
        pixels = np.memmap(path, np.uint8, "r+", shape=shape)
        labels, failed = _decode_all(found, pixels)
        broken.update(failed)
        if not keep(broken):
            raise _OfNoUse
        pixels = _without(pixels, broken)
        about = {
            "options": options,
            "fingerprint": mark,
            "shape": pixels.shape,
            "broken": broken,
            "digests": {},
        }
        pixels.flush()
        length = pixels.size
        del pixels
        os.truncate(path, length)
        np.save(place / "labels.npy", _without(labels, broken))
        files.write_json(place / "about.json", about)

    with filelock.FileLock(f"{folder}.lock"):
        if not again and (other := known(options, mark)) is not None:  # another was faster
            return other
        files.remove_leftovers(folder.parent, f"{folder.name}.*")
        if free < size + _SPARE:
            shutil.rmtree(folder)  # which is out of date
        try:
            files.write_folder(folder, write, replace=True)
        except _OfNoUse:
            return nothing(broken)
    made = known(options, mark)
    if made is None:
        raise OSError(f"{folder} was made, and cannot be read")
    return made


def nothing(broken: dict[int, str]) -> Pictures:
    """No picture that is of use, and why."""
    return Pictures(np.empty((0, 1, 1, 1), np.uint8), np.empty(0, np.int32), broken)


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


def _decode_all(found: Undecoded, pixels: np.ndarray) -> tuple[np.ndarray, dict[int, str]]:
    """Fills an array, by a thread for each core.

    Returns:
      Labels, int32 [N]; and place of a picture -> why it is broken.
    """
    labels, broken = np.zeros(found.count, np.int32), {}
    bar = None
    if found.count > _SHOWN and sys.stderr.isatty():
        import keras

        bar = keras.utils.Progbar(found.count, unit_name="picture")

    def some(block: list[tuple[int, Any, int]]) -> dict[int, str | None]:
        return {i: found.decode(source, pixels[i]) for i, source, _ in block}

    def collect(block: concurrent.futures.Future) -> None:
        done = block.result()
        broken.update({i: why for i, why in done.items() if why is not None})
        if bar is not None:
            bar.add(len(done))

    items, waiting, cores = iter(found.items()), collections.deque(), os.cpu_count()
    with (
        warnings.catch_warnings(action="ignore"),  # of all threads: see `images`
        concurrent.futures.ThreadPoolExecutor(cores) as pool,
    ):
        for block in iter(lambda: list(itertools.islice(items, _AT_ONCE)), []):
            for i, _, label in block:
                labels[i] = label
            waiting.append(pool.submit(some, block))
            if len(waiting) > cores + 1:  # no more of a large set is held than is worked on
                collect(waiting.popleft())
        for block in waiting:
            collect(block)
    return labels, broken


def _without(pixels: np.ndarray, broken: dict[int, str]) -> np.ndarray:
    """The array without the rows of these pictures, the others moved together in their order."""
    if not broken:
        return pixels
    good = np.delete(np.arange(len(pixels)), list(broken))
    step = max(1, _BLOCK // max(1, pixels[:1].nbytes))
    for start in range(0, len(good), step):
        some = good[start : start + step]
        pixels[start : start + len(some)] = pixels[some]
    return pixels[: len(good)]
