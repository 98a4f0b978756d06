"""Folders of PNG, JPEG, WebP or BMP files, with a folder for each class or without classes."""

import collections
import dataclasses
import functools
import hashlib
import math
import os
import pathlib
import re
from collections.abc import Callable
from typing import Literal

import numpy as np

from zoo.core import files
from zoo.data import images, store
from zoo.errors import InputError

RESIZE = {  # what is done before a picture has the size that was asked for
    "crop": "center crop to a square, then Pillow's antialiased bicubic resize",
    "pad": "white borders to a square, then Pillow's antialiased bicubic resize",
}
TENTH = 10  # of what there is: the test split, and of the rest the validation split
VALIDATION = ("val", "valid", "validation")
_SUFFIXES_BEFORE = {".png", ".jpg", ".jpeg"}
_KINDS = 8  # of files left out that are named

Listing = list[tuple[pathlib.Path, int]]  # files and their labels


@dataclasses.dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Attributes:
      image_size: side after a resize; None when all are square and of one size.
      fit: how they become square before that: `crop` or `pad`.
      gray: whether pictures in color become gray.
      skip_broken: whether files that cannot be decoded are left out.
      test: share of the pictures that is the test split where it has no folder; None: a tenth.
      exactly: whether large JPEG files are decoded in all of their pixels, as before version 0.2,
        though few are needed.
      before: whether to read as version 0.1.0 did: PNG and JPEG files in class folders, which are
        in alphabetical order even if they are numbers, and no validation folder.
    """

    image_size: int | None = None
    fit: Literal["crop", "pad"] = "crop"
    gray: bool = False
    skip_broken: bool = False
    test: float | None = None
    exactly: bool = False
    before: bool = False


@dataclasses.dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
      parts: `train` and maybe `test` and `validation` -> images uint8 [N, H, W, C], labels int32
        [N].
      class_names: one for each label; none where there are no class folders.
      num_broken: how many broken files were left out.
      remarks: what else was left out, for the description of the data set.
      remembered: `remembered(key, compute)` is what `compute` gives, kept with decoded pictures.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    class_names: tuple[str, ...]
    num_broken: int
    remarks: str
    remembered: Callable[[str, Callable[[], str]], str]


def read(path: pathlib.Path, reading: Reading) -> Found:
    """Reads PATH/CLASS/*, or PATH/train/CLASS/* with PATH/test/... and PATH/val/... or either.

    A folder without class folders, PATH/* or PATH/train/* and so on, has images without labels:
    all are 0. Validation images lie in `val`, `valid` or `validation`. Without a `test` folder the
    last images of `train` are the test split.

    Images are gray [.., 1] if every one is, else RGB [.., 3]; upright, as their EXIF says; what is
    transparent is white. Those of a large folder are decoded once (`zoo/data/store.py`). Files are
    in the order of a hash of their names, so that classes are mixed and the end of `train`, the
    validation split, is like the rest.

    Args:
      path: the folder.
      reading: how its pictures are read.

    Raises:
      InputError: no images, or some that cannot be used.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    before = reading.before
    roots, left_out = _roots(path, before)
    scans = {part: _Scan(root, before) for part, root in roots.items()}
    labeled = before or any(c.pictures for c in scans["train"].classes.values())
    names = _class_names(scans["train"], before) if labeled else []
    for scan in scans.values():
        left_out += scan.left_out(labeled)
    listings = {part: _listing(scan, names) for part, scan in scans.items()}
    _check_classes(scans, names, listings)
    found, listings = _pixels(path, listings, reading)
    pixels, num_broken = found.pixels, len(found.broken)
    for label, name in enumerate(names):
        if all(y != label for _, y in listings["train"]):
            raise InputError(f"{roots['train'] / name}: every file of this class is broken")
    parts, start = {}, 0
    for part, listing in listings.items():
        if not listing:
            raise InputError(f"{roots[part]}: every file is broken")
        stop = start + len(listing)
        parts[part] = pixels[start:stop], np.array([y for _, y in listing], np.int32)
        start = stop
    if "test" not in parts:
        x, y = parts["train"]
        count = number_of(reading.test, len(x)) or int(reading.test is None)
        if count:
            cut = len(x) - count
            parts["train"], parts["test"] = (x[:cut], y[:cut]), (x[cut:], y[cut:])
    elif reading.test is not None:
        raise InputError(f"{roots['test']} is the test split: leave test out")
    remarks = f"; left out: {_counts(left_out)}" if left_out else ""
    if num_broken:
        remarks += f"; broken files left out: {num_broken:,}"
    return Found(parts, tuple(names), num_broken, remarks, found.remembered)


def number_of(share: float | None, count: int) -> int:
    """How many of so many images are held out, of a share, or of None, which is a tenth."""
    return count // TENTH if share is None else int(share * count + 1e-9)


class _Contents:
    """The files of one folder."""

    def __init__(self, folder: pathlib.Path, before: bool):
        self.folder = folder
        self.pictures: list[pathlib.Path] = []
        self.folders: list[str] = []
        self.others = collections.Counter()  # kind -> number
        suffixes = _SUFFIXES_BEFORE if before else images.SUFFIXES
        with os.scandir(folder) as entries:
            for entry in entries:
                suffix = pathlib.PurePath(entry.name).suffix.lower()
                hidden = entry.name.startswith(".")
                try:
                    is_folder, is_file = entry.is_dir(), entry.is_file()
                except OSError:  # links in a circle
                    is_folder = is_file = False
                if is_folder:
                    if hidden:
                        self.others["hidden"] += 1
                    else:
                        self.folders.append(entry.name)
                elif hidden and not (before and suffix in suffixes):
                    self.others["hidden"] += 1
                elif not is_file:  # a pipe, a device, a link to nowhere
                    self.others["not regular files"] += 1
                elif suffix in suffixes:
                    self.pictures.append(folder / entry.name)
                else:
                    self.others[suffix or "without a suffix"] += 1

    def below(self) -> int:
        """How many files lie in its folders, at any depth; an empty one counts as one."""
        trees = (os.walk(self.folder / name) for name in self.folders)
        return sum(max(1, sum(len(files) for *_, files in tree)) for tree in trees)


class _Scan:
    """What a split's folder holds, maybe in folders for each class."""

    def __init__(self, root: pathlib.Path, before: bool):
        self.own = _Contents(root, before)
        self.classes = {name: _Contents(root / name, before) for name in self.own.folders}

    def left_out(self, labeled: bool) -> collections.Counter:
        """Kind -> number of the files that are not read."""
        if not labeled:
            below = {"in subfolders": self.own.below()}
            return self.own.others + collections.Counter(below)
        found = collections.Counter(
            {
                "beside the class folders": len(self.own.pictures) + self.own.others.total(),
                "in subfolders of class folders": sum(c.below() for c in self.classes.values()),
            }
        )
        return sum((c.others for c in self.classes.values()), +found)


def _roots(path: pathlib.Path, before: bool) -> tuple[dict[str, pathlib.Path], collections.Counter]:
    """The folder of each split, `train` first, and what lies beside them."""
    found = _Contents(path, before)
    validation = [] if before else [name for name in VALIDATION if name in found.folders]
    others = "test" in found.folders or validation or (not before and found.folders == ["train"])
    if "train" not in found.folders or not others:
        return {"train": path}, collections.Counter()
    if len(validation) > 1:
        raise InputError(
            f"{path}: {' and '.join(validation)} would both be the validation split: keep one"
        )
    roots = {"train": path / "train"}
    if "test" in found.folders:
        roots["test"] = path / "test"
    if validation:
        roots["validation"] = path / validation[0]
    read = {root.name for root in roots.values()}
    found.folders = [name for name in found.folders if name not in read]
    beside = len(found.pictures) + found.others.total() + found.below()
    return roots, +collections.Counter({"beside the folders of the splits": beside})


def _class_names(train: _Scan, before: bool) -> list[str]:
    names = sorted(train.classes)
    for name in names:
        if os.fsencode(name).decode(errors="replace") != name:
            raise InputError(
                f"{train.own.folder}: the name of the class folder {name!r} is not UTF-8: rename it"
            )
    if not before and all(re.fullmatch("[+-]?[0-9]+", name) for name in names):
        names.sort(key=int)
    return names


def _listing(scan: _Scan, names: list[str]) -> Listing:
    """Its pictures; where there are no classes, those that lie in no folder."""
    items = [
        (file, label)
        for label, name in enumerate(names)
        if name in scan.classes  # not every class need be in `test`
        for file in scan.classes[name].pictures
    ]
    if not names:
        items = [(file, 0) for file in scan.own.pictures]
    root = scan.own.folder
    items.sort(key=lambda item: hashlib.sha256(os.fsencode(item[0].relative_to(root))).digest())
    return items


def _check_classes(scans: dict[str, _Scan], names: list[str], listings: dict[str, Listing]) -> None:
    """Raises InputError for a split without images, or whose classes are not those of `train`."""
    where = " in class folders" if names else ""
    for part, scan in scans.items():
        if part != "train" and names and (strangers := scan.classes.keys() - set(names)):
            raise InputError(
                f"{scan.own.folder / min(strangers)}: a class that train does not have"
            )
        if not listings[part]:
            found = scan.left_out(bool(names))
            raise InputError(f"{scan.own.folder}: no {images.FORMATS} files{where}{_holds(found)}")
    for name in names:
        contents = scans["train"].classes[name]
        if not contents.pictures:
            found = contents.others + collections.Counter({"in subfolders": contents.below()})
            raise InputError(
                f"{contents.folder}: no {images.FORMATS} files in this class folder{_holds(found)}"
            )


def _holds(found: collections.Counter) -> str:
    return f" (it holds {_counts(found)})" if found else ""


def _counts(found: collections.Counter) -> str:
    """Kinds of files and how many there are, the most frequent ones first."""
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{number:,} {kind}" for kind, number in ordered[:_KINDS]]
    if rest := sum(number for _, number in ordered[_KINDS:]):
        said.append(f"{rest:,} of other kinds")
    return ", ".join(said)


def _pixels(
    path: pathlib.Path, listings: dict[str, Listing], reading: Reading
) -> tuple[store.Pictures, dict[str, Listing]]:
    """All pictures, in the order of the listings, and the listings without broken files."""
    paths = [file for listing in listings.values() for file, _ in listing]
    options = {
        "path": os.path.realpath(path),
        **{k: v for k, v in dataclasses.asdict(reading).items() if k != "test"},
    }
    mark, num_bytes = store.fingerprint(list(map(str, paths)), str(path))
    found = store.known(options, mark)
    if found is None:
        found = _decoded(path, paths, reading, num_bytes, (options, mark))
    if found.broken and not reading.skip_broken:
        broken = sorted((paths[i], why) for i, why in found.broken.items())
        named = ", ".join(f"{file} ({why})" for file, why in broken)
        raise InputError(
            f"{len(broken):,} of {len(paths):,} images cannot be decoded: {named}. Repair or "
            "remove them, or leave them out: --skip_broken"
        )
    if not len(found.pixels):
        raise InputError(f"{path}: every file is broken")
    bad = {paths[i] for i in found.broken}
    good = {
        part: [item for item in listing if item[0] not in bad] if bad else listing
        for part, listing in listings.items()
    }
    return found, good


def _decoded(
    path: pathlib.Path,
    paths: list[pathlib.Path],
    reading: Reading,
    num_bytes: int,
    known_by: tuple[dict, str],
) -> store.Pictures:
    """Decodes all pictures, from so many bytes: into a store that is known by this, or memory."""
    headers: dict[int, images.Header] = {}
    broken: dict[int, str] = {}
    for i, file in enumerate(paths):
        try:
            headers[i] = images.header(file)
        except images.Unreadable as e:
            broken[i] = str(e)
    size = reading.image_size
    if size is None and headers:
        size = _common_size(paths, headers, broken)
    if not headers:
        return store.Pictures(np.empty((0, 1, 1, 1), np.uint8), broken)

    def decode(mode: str, i: int, place: np.ndarray) -> str | None:
        if i in broken:
            return broken[i]
        try:
            place[...] = images.decode(
                paths[i], mode, reading.image_size, reading.fit, reading.exactly
            ).reshape(place.shape)
        except images.Unreadable as e:
            return str(e)
        return None

    def of_mode(mode: str) -> store.Pictures:
        shape = (size, size, len(mode))
        arguments = len(paths), shape, functools.partial(decode, mode), "picture"
        if num_bytes <= store.SMALL and len(paths) * math.prod(shape) <= store.IN_MEMORY:
            return store.in_memory(*arguments)
        try:
            return store.make(*known_by, *arguments, lambda bad: reading.skip_broken or not bad)
        except OSError as e:
            reason = e.strerror or e
            files.warn(f"{path}: decoded pictures cannot be kept in {store.cache()} ({reason})")
            return store.in_memory(*arguments)

    gray = reading.gray or all(h.gray for h in headers.values())
    found = of_mode("L" if gray else "RGB")
    good = [h for i, h in headers.items() if i not in found.broken]
    if not gray and good and all(h.gray for h in good):  # the only ones in color were broken
        found = of_mode("L")
    return found


def _common_size(
    paths: list[pathlib.Path], headers: dict[int, images.Header], broken: dict[int, str]
) -> int:
    """The side of images that are square and of one size; finds broken ones among the others.

    Raises:
      InputError: they are not.
    """
    [(usual, _)] = collections.Counter(h.size for h in headers.values()).most_common(1)
    size = usual[0]
    for i, found in headers.items():
        if found.size == (size, size):
            continue
        try:
            images.decode(paths[i], "L", None)
        except images.Unreadable as e:
            broken[i] = str(e)
            continue
        of_one = "" if usual != (size, size) else f" ({size}x{size} of most)"
        width, height = found.size
        raise InputError(
            f"{paths[i]}: is {width}x{height}, and images must be square and of one size{of_one}: "
            "give --image_size to resize them"
        )
    return size
