"""Encoded pictures, of a folder or of a library of data sets, become arrays in splits."""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np

from zoo.core import files
from zoo.data import images, store
from zoo.errors import InputError

RESIZE = {  # what is done before a picture has the size that was asked for
    "crop": "center crop to a square, then Pillow's antialiased bicubic resize",
    "pad": "white borders to a square, then Pillow's antialiased bicubic resize",
}
_NAMED = 20  # broken pictures, at most, in a message
TENTH = 10  # of what there is: the test split, and of the rest the validation split
VALIDATION = ("val", "valid", "validation")  # what that split may be called
_ORDER = 0  # seed of an order; raw numbers of a bit generator never change

Parts = dict[str, tuple[np.ndarray, np.ndarray]]
"""`train` and maybe `test` and `validation` -> images uint8 [N, H, W, C], labels int32 [N]."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
      image_size: side after a resize; None when all are square and of one size.
      fit: how they become square before that: `crop` or `pad`.
      gray: whether pictures in color become gray.
      skip_broken: whether pictures that cannot be decoded are left out.
      test: share of the pictures that is the test split where the set has none; None: a tenth.
      exactly: whether large JPEG files are decoded in all of their pixels, as before version 0.2,
        though few are needed.
      before: whether to read a folder as version 0.1.0 did: PNG and JPEG files in class folders,
        which are in alphabetical order even if they are numbers, and no validation folder.
    """

    image_size: int | None = None
    fit: Literal["crop", "pad"] = "crop"
    gray: bool = False
    skip_broken: bool = False
    test: float | None = None
    exactly: bool = False
    before: bool = False


@dataclasses.dataclass(frozen=True)
class Encoded:
    """Pictures that are not decoded yet, one split after the other.

    Attributes:
      name: what messages call them all.
      splits: `train` and maybe `test` and `validation` -> what messages call the split, and how
        many pictures it has.
      items: gives (place, source, label) of each picture, in any order, anew at each call. Places
        count through all splits; a source is the path of a file, or what the file would hold.
      called: what messages call the picture of a place.
      options: which pictures these are, for `store.known`.
      mark: changes where they have changed, as `store.fingerprint` of their files.
      num_bytes: of their files.
    """

    name: str
    splits: dict[str, tuple[str, int]]
    items: Callable[[], Iterable[tuple[int, images.Source, int]]]
    called: Callable[[int], str]
    options: dict[str, Any]
    mark: str
    num_bytes: int

    def __len__(self) -> int:
        return sum(count for _, count in self.splits.values())


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Decoded pictures.

    Attributes:
      parts: the splits, without broken pictures.
      encoded: where they are from.
      store: how they are kept.
    """

    parts: Parts
    encoded: Encoded
    store: store.Pictures


@dataclasses.dataclass(frozen=True)
class Found:
    """What a folder or a library holds.

    Attributes:
      parts: the splits, `train` and maybe `test` and `validation`.
      class_names: one for each label; none where pictures have no labels.
      num_broken: how many broken pictures were left out.
      remarks: what else was left out, for the description of the data set.
      remembered: `remembered(key, compute)` is what `compute` gives, kept with decoded pictures.
    """

    parts: Parts
    class_names: tuple[str, ...]
    num_broken: int
    remarks: str
    remembered: Callable[[str, Callable[[], str]], str]


def number_of(share: float | None, count: int) -> int:
    """How many of so many images are held out, of a share, or of None, which is a tenth."""
    return count // TENTH if share is None else int(share * count + 1e-9)


def order(count: int) -> np.ndarray:
    """The numbers 0 to count - 1 in a random order that is always the same, int64 [count]."""
    return np.argsort(np.random.PCG64(_ORDER).random_raw(count), kind="stable")


def decode(encoded: Encoded, reading: Reading) -> Decoded:
    """Decodes all pictures, or takes them from the store, if they were decoded before.

    Raises:
      InputError: some cannot be used, or all of a split are broken.
    """
    known_by = (
        {**encoded.options, **{k: v for k, v in vars(reading).items() if k != "test"}},
        encoded.mark,
    )
    found = store.known(*known_by)
    if found is None:
        found = _decoded(encoded, reading, known_by)
    if found.broken and not reading.skip_broken:
        some = sorted((encoded.called(i), found.broken[i]) for i in sorted(found.broken)[:_NAMED])
        named = ", ".join(f"{name} ({why})" for name, why in some)
        others = f" and {more:,} others" if (more := len(found.broken) - _NAMED) > 0 else ""
        raise InputError(
            f"{len(found.broken):,} of {len(encoded):,} images cannot be decoded: {named}{others}. "
            "Repair or remove them, or leave them out: --skip_broken"
        )
    if not len(found.pixels):
        raise InputError(f"{encoded.name}: every file is broken")
    broken = np.array(sorted(found.broken), int)
    parts, begin, start = {}, 0, 0  # before and after the broken ones are left out
    for part, (name, count) in encoded.splits.items():
        end = begin + count
        stop = end - np.searchsorted(broken, end)
        if start == stop:
            raise InputError(f"{name}: every file is broken")
        parts[part] = found.pixels[start:stop], found.labels[start:stop]
        begin, start = end, stop
    return Decoded(parts, encoded, found)


def found(
    decoded: Decoded, class_names: Sequence[str], reading: Reading, remarks: str = ""
) -> Found:
    """The splits, of which the last images of `train` are the test split where there is none.

    Raises:
      InputError: a share is asked for as the test split, and there is one.
    """
    parts, num_broken = dict(decoded.parts), len(decoded.store.broken)
    if "test" not in parts:
        x, y = parts["train"]
        count = number_of(reading.test, len(x)) or int(reading.test is None)
        if count:
            cut = len(x) - count
            parts["train"], parts["test"] = (x[:cut], y[:cut]), (x[cut:], y[cut:])
    elif reading.test:
        raise InputError(f"{decoded.encoded.splits['test'][0]} is the test split: leave test out")
    if num_broken:
        remarks += f"; broken files left out: {num_broken:,}"
    return Found(parts, tuple(class_names), num_broken, remarks, decoded.store.remembered)


def _decoded(encoded: Encoded, reading: Reading, known_by: tuple[dict, str]) -> store.Pictures:
    """Decodes all pictures into a store that is known by this, or into memory."""
    count, size = len(encoded), reading.image_size
    gray, readable = np.zeros(count, bool), np.zeros(count, bool)
    sizes, broken = np.zeros((count, 2), np.int32), {}
    for i, source, _ in encoded.items():
        try:
            header = images.header(source)
        except images.Unreadable as e:
            broken[i] = str(e)
        else:
            gray[i], sizes[i], readable[i] = header.gray, header.size, True
    if not readable.any():
        return store.nothing(broken)
    if size is None:
        size = _common_size(encoded, sizes, readable)

    def decode(mode: str, source: images.Source, place: np.ndarray) -> str | None:
        try:
            place[...] = images.decode(
                source, mode, reading.image_size, reading.fit, reading.exactly
            ).reshape(place.shape)
        except images.Unreadable as e:
            return str(e)
        return None

    def of_mode(mode: str, again: bool = False) -> store.Pictures:
        shape = (size, size, len(mode))
        found = store.Undecoded(count, shape, encoded.items, functools.partial(decode, mode))
        if encoded.num_bytes <= store.SMALL and count * math.prod(shape) <= store.IN_MEMORY:
            return store.in_memory(found)
        try:
            return store.make(*known_by, found, lambda bad: reading.skip_broken or not bad, again)
        except OSError as e:
            reason = e.strerror or e
            files.warn(
                f"{encoded.name}: decoded pictures cannot be kept in {store.cache()} ({reason})"
            )
            return store.in_memory(found)

    all_gray = reading.gray or gray[readable].all()
    found = of_mode("L" if all_gray else "RGB")
    readable[list(found.broken)] = False
    if not all_gray and readable.any() and gray[readable].all():  # those in color were broken
        found = of_mode("L", again=True)
    return found


def _common_size(encoded: Encoded, sizes: np.ndarray, readable: np.ndarray) -> int:
    """The side of images that are square and of one size; finds broken ones among the others.

    Args:
      encoded: the pictures.
      sizes: widths and heights, int32 [N, 2].
      readable: whether they are known, bool [N]; becomes false for those that are broken.

    Raises:
      InputError: they are not.
    """
    [(usual, _)] = collections.Counter(map(tuple, sizes[readable].tolist())).most_common(1)
    size = usual[0]
    others = readable & (sizes != size).any(axis=1)
    for i, source, _ in encoded.items() if others.any() else ():
        if not others[i]:
            continue
        try:
            images.decode(source, "L", None)
        except images.Unreadable:
            readable[i] = False
            continue
        of_one = "" if usual != (size, size) else f" ({size}x{size} of most)"
        width, height = sizes[i]
        raise InputError(
            f"{encoded.called(i)}: is {width}x{height}, and images must be square and of one size"
            f"{of_one}: give --image_size to resize them"
        )
    return size
