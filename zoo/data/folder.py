"""Folders of PNG, JPEG, WebP or BMP files, with a folder for each class or without classes."""

import collections
import dataclasses
import hashlib
import math
import os
import pathlib
import re

import numpy as np

from zoo.data import idx, images
from zoo.errors import InputError

RESIZE = "center crop to a square, then Pillow's antialiased bicubic resize"
VALIDATION = ("val", "valid", "validation")
_SUFFIXES_BEFORE = {".png", ".jpg", ".jpeg"}
_KINDS = 8  # of files left out that are named

Listing = list[tuple[pathlib.Path, int]]  # files and their labels


@dataclasses.dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
      parts: `train`, `test` and maybe `validation` -> images uint8 [N, H, W, C], labels int32 [N].
      class_names: one for each label; none where there are no class folders.
      num_broken: how many broken files were left out.
      remarks: what else was left out, for the description of the data set.
    """

    parts: dict[str, tuple[np.ndarray, np.ndarray]]
    class_names: tuple[str, ...]
    num_broken: int
    remarks: str


def read(
    path: pathlib.Path, image_size: int | None, skip_broken: bool = False, before: bool = False
) -> Found:
    """Reads PATH/CLASS/*, or PATH/train/CLASS/* with PATH/test/... and PATH/val/... or either.

    A folder without class folders, PATH/* or PATH/train/* and so on, has images without labels:
    all are 0. Validation images lie in `val`, `valid` or `validation`. Without a `test` folder the
    last tenth of `train` is the test split.

    Images are gray [.., 1] if every one is, else RGB [.., 3]; upright, as their EXIF says; what is
    transparent is white. Files are in the order of a hash of their names, so that classes are mixed
    and the end of `train`, the validation split, is like the rest.

    Args:
      path: the folder.
      image_size: side after a resize (see `RESIZE`); None when all are square and of one size.
      skip_broken: whether files that cannot be decoded are left out.
      before: whether to read as version 0.1.0 did: PNG and JPEG files in class folders, which are
        in alphabetical order even if they are numbers, and no validation folder.

    Raises:
      InputError: no images, or some that cannot be used.
    """
    if not path.is_dir():
        raise InputError(f"{path}: no such folder")
    roots, left_out = _roots(path, before)
    scans = {part: _Scan(root, before) for part, root in roots.items()}
    labeled = before or any(c.pictures for c in scans["train"].classes.values())
    names = _class_names(scans["train"], before) if labeled else []
    for scan in scans.values():
        left_out += scan.left_out(labeled)
    listings = {part: _listing(scan, names) for part, scan in scans.items()}
    _check_classes(scans, names, listings)
    pixels, listings, num_broken = _pixels(path, listings, image_size, skip_broken)
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
        cut = len(x) - max(1, len(x) // 10)
        parts["train"], parts["test"] = (x[:cut], y[:cut]), (x[cut:], y[cut:])
    remarks = f"; left out: {_counts(left_out)}" if left_out else ""
    if num_broken:
        remarks += f"; broken files left out: {num_broken:,}"
    return Found(parts, tuple(names), num_broken, remarks)


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
    path: pathlib.Path, listings: dict[str, Listing], image_size: int | None, skip_broken: bool
) -> tuple[np.ndarray, dict[str, Listing], int]:
    """All images in one array, uint8 [N, H, W, C], with the files that they are of.

    Returns:
      The images, in the order of the listings; the listings without the broken files; and how many
      these are.
    """
    headers: dict[pathlib.Path, images.Header] = {}
    broken: dict[pathlib.Path, str] = {}
    for file, _ in (item for listing in listings.values() for item in listing):
        try:
            headers[file] = images.header(file)
        except images.Unreadable as e:
            broken[file] = str(e)
    size = image_size
    if size is None and headers:
        size = _common_size(headers, broken)
    mode = "L" if all(h.gray for h in headers.values()) else "RGB"
    shape = (size, size, len(mode))
    if headers and (total := len(headers) * math.prod(shape)) > idx.MAX_BYTES:
        raise InputError(
            f"{path}: {len(headers):,} images of {size}x{size} take {total:,} bytes, more than can "
            "be read: give a smaller --image_size"
        )
    pixels, gray, good = np.empty((len(headers), *shape), np.uint8) if headers else None, True, {}
    done = 0
    for part, listing in listings.items():
        good[part] = []
        for file, label in listing:
            if file in broken:
                continue
            try:
                pixels[done] = images.decode(file, mode, image_size).reshape(shape)
            except images.Unreadable as e:
                broken[file] = str(e)
                continue
            good[part].append((file, label))
            gray = gray and headers[file].gray
            done += 1
    if broken and not skip_broken:
        named = ", ".join(f"{file} ({why})" for file, why in sorted(broken.items()))
        raise InputError(
            f"{len(broken):,} of {len(broken) + done:,} images cannot be decoded: {named}. Repair "
            "or remove them, or leave them out: --skip_broken"
        )
    if not done:
        raise InputError(f"{path}: every file is broken")
    pixels = pixels[:done]
    if gray and mode == "RGB":  # the only ones in color were broken
        pixels = np.ascontiguousarray(pixels[..., :1])
    return pixels, good, len(broken)


def _common_size(
    headers: dict[pathlib.Path, images.Header], broken: dict[pathlib.Path, str]
) -> int:
    """The side of images that are square and of one size; finds broken ones among the others.

    Raises:
      InputError: they are not.
    """
    [(usual, _)] = collections.Counter(h.size for h in headers.values()).most_common(1)
    size = usual[0]
    for file, found in headers.items():
        if found.size == (size, size):
            continue
        try:
            images.decode(file, "L", None)
        except images.Unreadable as e:
            broken[file] = str(e)
            continue
        of_one = "" if usual != (size, size) else f" ({size}x{size} of most)"
        width, height = found.size
        raise InputError(
            f"{file}: is {width}x{height}, and images must be square and of one size{of_one}: give "
            "--image_size to resize them"
        )
    return size
