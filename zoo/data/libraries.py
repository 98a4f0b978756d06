"""Data sets of TensorFlow Datasets and of Hugging Face Datasets, by name or as files.

The libraries find, fetch and read the records. Their pictures, still encoded, are decoded and kept
as those of a folder are.
"""

import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from zoo.core import extras
from zoo.data import images, pictures, store
from zoo.errors import InputError, reason


class _Records(Protocol):
    """A data set of a library.

    Attributes:
      splits: split -> number of records, by the names of the library.
      images: names of the features that are pictures.
      labels: name of a feature that is a class -> names of the classes.
      path: what tells the set from others.
    """

    splits: dict[str, int]
    images: list[str]
    labels: dict[str, Sequence[str]]
    path: str

    def rows(self, split: str, image: str, label: str) -> Iterator[tuple[images.Source, int]]:
        """Pictures and their labels, always in the same order; -1 where there is no label."""

    def files(self, splits: Sequence[str], image: str) -> list[str]:
        """The files that hold the records of splits, and pictures that lie beside them."""


def read(name: str, data_dir: str | None, reading: pictures.Reading) -> pictures.Found:
    """Reads a data set that has pictures, maybe with one label.

    The splits `train`, `test` and `validation` are those of the set, if it has them; where it has
    one split alone, that is `train`. Every split is in a random order that is always the same.

    Args:
      name: `tfds:NAME` or `hf:NAME`, with /CONFIG after it if need be. `hf:` may be a folder.
      data_dir: of `tfds:`, where its data sets lie or are put.
      reading: how pictures are read.

    Raises:
      InputError: the library is missing, has no such set, or not one that can be used.
    """
    kind, _, what = name.partition(":")
    records = _tfds(what, data_dir) if kind == "tfds" else _hugging_face(what)
    image = _only(name, records.images)
    label = next(iter(records.labels)) if len(records.labels) == 1 else ""
    splits = _splits(name, records.splits)
    orders = {split: pictures.order(records.splits[split]) for split in splits.values()}

    def items() -> Iterator[tuple[int, images.Source, int]]:
        start = 0
        for split, order in orders.items():
            rows = _readable(name, lambda split=split: records.rows(split, image, label))
            for i, (source, number) in enumerate(rows):
                yield start + int(order[i]), source, number
            start += len(order)

    def called(place: int) -> str:
        for split, order in orders.items():
            if place < len(order):
                return f"{name}, {split}[{np.flatnonzero(order == place)[0]}]"
            place -= len(order)
        raise IndexError(place)

    paths = list(_readable(name, lambda: records.files(list(orders), image)))
    mark, num_bytes = store.fingerprint(paths, "")
    decoded = pictures.decode(
        pictures.Encoded(
            name=name,
            splits={p: (f"{name}, {s}", records.splits[s]) for p, s in splits.items()},
            items=items,
            called=called,
            options={"path": records.path, "image": image, "label": label},
            mark=mark,
            num_bytes=num_bytes,
        ),
        reading,
    )
    remarks = ""
    for part in [p for p, (_, labels) in decoded.parts.items() if labels.min() < 0]:
        if part == "train":
            raise InputError(f"{name}: some of {splits[part]} have no label")
        del decoded.parts[part]  # of a competition
        remarks += f"; left out: {splits[part]}, which has no labels"
    return pictures.found(decoded, records.labels.get(label, ()), reading, remarks)


def is_local(name: str) -> bool:
    """Whether `hf:NAME` is a folder of this machine."""
    path = name.removeprefix("hf:")
    return path.startswith(("/", ".")) or os.path.isdir(path)


def _only(name: str, found: Sequence[str]) -> str:
    """The feature that is the picture."""
    if not found:
        raise InputError(f"{name} has no feature that is an image of 8 or 16 bits a channel")
    if len(found) > 1 and "image" not in found:
        raise InputError(f"{name} has several images a record, and none is called image: {found}")
    return found[0] if len(found) == 1 else "image"


def _splits(name: str, found: dict[str, int]) -> dict[str, str]:
    """`train`, maybe `test` and `validation` -> what the library calls them."""
    found = [split for split, count in found.items() if count]
    if len(found) == 1:
        return {"train": found[0]}
    if "train" not in found:
        raise InputError(f"{name} has no split that is called train: it has {', '.join(found)}")
    parts = {"train": "train", "test": "test"} | dict.fromkeys(pictures.VALIDATION, "validation")
    return {part: split for split, part in parts.items() if split in found}


def _readable(name: str, found: Callable[[], Iterable[Any]]) -> Iterator[Any]:
    """What a library gives, or one line that says why it does not."""
    try:
        yield from found()
    except Exception as e:  # files that are gone or damaged, splits with other features
        raise _failure(name, e) from None


def _failure(name: str, error: Exception) -> InputError:
    return InputError(f"{name} cannot be read ({reason(error)})")


class _Tfds:
    def __init__(self, library, builder):
        self._library, self._builder = library, builder
        features, kinds = builder.info.features, library.features
        named = dict(features.items()) if isinstance(features, kinds.FeaturesDict) else {}
        self.splits = {split: info.num_examples for split, info in builder.info.splits.items()}
        self.images = [
            key
            for key, feature in named.items()
            if isinstance(feature, kinds.Image) and feature.np_dtype in (np.uint8, np.uint16)
        ]
        self.labels = {
            key: feature.names
            for key, feature in named.items()
            if isinstance(feature, kinds.ClassLabel)
        }
        self.path = f"tfds:{builder.data_path}"

    def rows(self, split: str, image: str, label: str) -> Iterator[tuple[images.Source, int]]:
        decode, as_stored = self._library.decode, {image: self._library.decode.SkipDecoding()}
        if self._builder.info.file_format.value == "array_record":
            rows = self._builder.as_data_source(split, decoders=as_stored)
        else:
            wanted = dict.fromkeys(filter(None, (image, label)), True)
            rows = self._builder.as_dataset(
                split=split,
                decoders=decode.PartialDecoding(wanted, decoders=as_stored),
                read_config=self._library.ReadConfig(interleave_cycle_length=1),  # one by one
                shuffle_files=False,
            ).as_numpy_iterator()
        return ((row[image], row.get(label, 0)) for row in rows)

    def files(self, splits: Sequence[str], image: str) -> list[str]:
        infos = (self._builder.info.splits[split] for split in splits)
        return [os.fspath(path) for info in infos for path in info.filepaths]


def _tfds(name: str, data_dir: str | None) -> _Records:
    library = extras.library("tensorflow_datasets", "tfds", "--dataset=tfds:NAME")
    try:
        builder = library.builder(name, data_dir=data_dir)
        builder.download_and_prepare()
    except Exception as e:  # whatever a network, a cache or the code of a data set can raise
        raise _failure(f"tfds:{name}", e) from None
    return _Tfds(library, builder)


class _HuggingFace:
    def __init__(self, library, splits: dict[str, Any], path: str):
        self._library, self._splits, self.path = library, splits, path
        features = next(iter(splits.values())).features
        self.splits = {split: rows.num_rows for split, rows in splits.items()}
        self.images = [key for key, kind in features.items() if isinstance(kind, library.Image)]
        self.labels = {
            key: kind.names
            for key, kind in features.items()
            if isinstance(kind, library.ClassLabel)
        }

    def rows(self, split: str, image: str, label: str) -> Iterator[tuple[images.Source, int]]:
        wanted = self._splits[split].select_columns([*filter(None, (image, label))])
        for row in wanted.cast_column(image, self._library.Image(decode=False)):
            found, number = row[image] or {"bytes": b""}, row.get(label, 0)
            yield found["bytes"] or found.get("path") or b"", -1 if number is None else number

    def files(self, splits: Sequence[str], image: str) -> list[str]:
        found = []
        for rows in map(self._splits.get, splits):
            found += [file["filename"] for file in rows.cache_files]
            for chunk in rows.data.column(image).chunks:
                if chunk.field("bytes").null_count:  # they lie in files of their own
                    found += filter(None, chunk.field("path").to_pylist())
        return found


def _hugging_face(name: str) -> _Records:
    library = extras.library("datasets", "hf", "--dataset=hf:NAME")
    path, config = name, None
    if is_local(name):
        path = os.path.realpath(name)
    elif name.count("/") == 2:  # USER/NAME/CONFIG
        path, _, config = name.rpartition("/")
    saved = [(pathlib.Path(path) / file).is_file() for file in ("state.json", "dataset_dict.json")]
    try:
        if any(saved):
            found = library.load_from_disk(path, keep_in_memory=False)
        else:
            found = library.load_dataset(path, config, keep_in_memory=False)
    except Exception as e:  # likewise
        raise _failure(f"hf:{name}", e) from None
    splits = found if isinstance(found, dict) else {"train": found}
    return _HuggingFace(library, splits, f"hf:{path}/{config}" if config else f"hf:{path}")
