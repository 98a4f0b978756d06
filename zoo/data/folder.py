"""Folders of PNG, JPEG, WebP or BMP files, with a folder for each class or without classes."""

import collections
import hashlib
import os
import pathlib
import re

import numpy as np

from zoo.data import images, pictures, store
from zoo.errors import InputError

_SUFFIXES_BEFORE = {".png", ".jpg", ".jpeg"}
_KINDS = 8  # of files left out that are named

Listing = list[tuple[str, int]]  # paths of files and their labels


def read(path: pathlib.Path, reading: pictures.Reading) -> pictures.Found:
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
    files = [item for listing in listings.values() for item in listing]
    mark, num_bytes = store.fingerprint([file for file, _ in files], str(path))
    decoded = pictures.decode(
        pictures.Encoded(
            name=str(path),
            splits={part: (str(roots[part]), len(listing)) for part, listing in listings.items()},
            items=lambda: ((i, *item) for i, item in enumerate(files)),
            called=lambda i: files[i][0],
            options={"path": os.path.realpath(path)},
            mark=mark,
            num_bytes=num_bytes,
        ),
        reading,
    )
    _, labels = decoded.parts["train"]
    for label in np.flatnonzero(np.bincount(labels, minlength=len(names)) == 0):
        raise InputError(f"{roots['train'] / names[label]}: every file of this class is broken")
    remarks = f"; left out: {_counts(left_out)}" if left_out else ""
    return pictures.found(decoded, names, reading, remarks)


class _Contents:
    """The files of one folder."""

    def __init__(self, folder: pathlib.Path, before: bool):
        self.folder = folder
        self.pictures: list[str] = []  # their paths
        self.folders: list[str] = []
        self.others = collections.Counter()  # kind -> number
        suffixes = _SUFFIXES_BEFORE if before else images.SUFFIXES
        with os.scandir(folder) as entries:
            for entry in entries:
                suffix = os.path.splitext(entry.name)[1].lower()
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
                    self.pictures.append(entry.path)
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
    validation = [] if before else [name for name in pictures.VALIDATION if name in found.folders]
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
    above = len(str(scan.own.folder / "x")) - 1  # letters before the name in the folder
    items.sort(key=lambda item: hashlib.sha256(os.fsencode(item[0][above:])).digest())
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
