"""Data sets by name or folder, each split once for all into train, validation and test."""

import contextlib
import dataclasses
import hashlib
import itertools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from zoo.core import files
from zoo.data import emoji, folder, idx, libraries, pictures, stacked, store, toy
from zoo.errors import InputError, one_line, reason

ARRAYS = "arrays"  # what a data set from Python is called
PICTURES = ("folder:", "tfds:", "hf:")  # before the name of encoded pictures of any size
_PICTURES = "--dataset=folder:PATH, tfds:NAME or hf:NAME"
EMBEDDED = pathlib.Path(__file__).parent / "fashion_mnist"
NUM_VALIDATION = 5000
DIGITS = tuple("0123456789")
CLASS_NAMES = {
    "fashion_mnist": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "mnist": DIGITS,
    "cifar10": (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
}
NOT_READ = {  # no IDX files
    "cifar10": "downloaded",
    "emoji": "embedded",
    "stacked_fashion_mnist": "embedded",
    **dict.fromkeys(toy.MIXTURES, "drawn"),
}
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
SHA256 = {
    FILES[0]: "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    FILES[1]: "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    FILES[2]: "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    FILES[3]: "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}


_BLOCK = 1 << 26  # bytes that a digest takes at once


@dataclasses.dataclass(frozen=True)
class Split:
    """Images uint8 [N, H, W, C] and their labels int32 [N]; maybe a caption for each, str [N]."""

    images: np.ndarray
    labels: np.ndarray
    captions: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    def subset(self, count: int) -> "Split":
        """So many images with their labels, or all, in a random order that is always the same.

        A file may be ordered: MNIST's test images are, by their writers. Smaller subsets are the
        first images of larger ones.
        """
        return self._of(pictures.order(len(self))[:count])

    def first(self, count: int) -> "Split":
        """The first `count` images with their labels, or all where there are fewer."""
        return self._of(slice(count))

    def _of(self, which) -> "Split":
        captions = None if self.captions is None else self.captions[which]
        part = isinstance(which, slice)  # of a file, where they are in one
        images = self.images[which] if part else store.rows(self.images, which)
        return Split(images, self.labels[which], captions)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three disjoint splits; `test` is for final figures, never for a choice.

    Attributes:
      name: as it was asked for.
      train: to learn from.
      validation: the last 5,000 training images (a tenth of a smaller set), to choose by, or those
        of a folder's own.
      test: the set's own.
      class_names: one for each label; none where images have no labels (all are then 0).
      digest: SHA-256 over all images and labels.
      description: one line: source, sizes, any resize, and what was left out.
      num_broken: how many files could not be decoded, and were left out.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    digest: str
    description: str
    num_broken: int = 0

    @property
    def num_classes(self) -> int:
        """Number of labels; 0 where images have none."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.train.images.shape[1:]


def name_of(name: str | None, data_dir: str | None) -> str:
    """What a data set is called: as it was asked for, or by its folder, or `fashion_mnist`."""
    return name or (files.local_path(data_dir).resolve().name if data_dir else "fashion_mnist")


def is_pictures(name: str) -> bool:
    """Whether the name is that of encoded pictures of any size, as those of a folder."""
    return name.startswith(PICTURES)


def without_path(name: str) -> str:
    """The name of a data set, without what is above a folder of this machine."""
    kind, _, path = name.partition(":")
    if kind == "folder" or (kind == "hf" and libraries.is_local(name)):
        return f"{kind}:{pathlib.PurePath(path).name}"
    return name


def short_name(name: str) -> str:
    """The name of a data set in that of a folder."""
    kind, _, what = without_path(name).rpartition(":")
    return (what.replace("/", "-") if kind == "tfds" else pathlib.PurePath(what).name) or "data"


def load(
    name: str | None = None,
    data_dir: str | None = None,
    image_size: int | None = None,
    skip_broken: bool = False,
    digest: str | None = None,
    *,
    fit: str = "crop",
    gray: bool = False,
    validation: float | None = None,
    test: float | None = None,
) -> Dataset:
    """Reads a data set.

    Args:
      name: `fashion_mnist` (embedded, the default), `emoji` (embedded, in color,
        `zoo/data/emoji.py`), `stacked_fashion_mnist` (`zoo/data/stacked.py`), `mnist`, `cifar10`
        (by keras.datasets), `ring`, `grid` (2-D toy data, `zoo/data/toy.py`), or `folder:PATH`.
      data_dir: a folder with the four IDX files of an MNIST-like set, to be read instead. Its
        classes are named by their numbers, and it by its folder, unless `name` says which it is.
      image_size: for `folder:PATH`, the side to which images are resized (`pictures.RESIZE`); for
        `emoji` at most 64, and 32 when left out.
      skip_broken: for `folder:PATH`, whether files that cannot be decoded are left out.
      digest: of the images that a model was trained on, if any. A folder whose images are those
        only as an earlier version read it is read so.
      fit: for `folder:PATH`, how pictures become square before a resize: `crop` or `pad`.
      gray: for `folder:PATH`, whether pictures in color become gray.
      validation: share of the training images that is the validation split, where the set has none
        of its own; None: a tenth, at most 5,000.
      test: likewise for the test split, of all images of a folder.

    Raises:
      InputError: something is missing or wrong; the line names the file.
    """
    if data_dir and name in NOT_READ:
        raise InputError(f"{name} is {NOT_READ[name]}, not read: leave --data_dir out")
    if name == ARRAYS and not data_dir:
        raise InputError("the images of this run came from Python: give them to zoo.train as data")
    name = name_of(name, data_dir)
    if image_size is not None and not is_pictures(name) and name != "emoji":
        raise InputError(f"image_size goes with {_PICTURES}, and --dataset=emoji only")
    for setting, asked in (
        ("skip_broken", skip_broken),
        ("fit", fit != "crop"),
        ("gray", gray),
        ("test", test is not None),
    ):
        if asked and not is_pictures(name):
            raise InputError(f"{setting} goes with {_PICTURES} only")
    if image_size is not None and image_size < 1:
        raise InputError(f"image_size is {image_size}, and must be at least 1")
    if data_dir and name.startswith(("folder:", "hf:")):
        raise InputError(f"give --dataset={name.partition(':')[0]}:PATH or --data_dir, not both")
    how, captions = "", None
    if is_pictures(name):
        reading = pictures.Reading(image_size, fit, gray, skip_broken, test)
        return _read_pictures(name, data_dir, reading, digest, validation)
    if data_dir:
        arrays = _read_quadruple(files.local_path(data_dir))
        how = f" from {data_dir}"
        if name in ("fashion_mnist", "mnist"):
            class_names = CLASS_NAMES[name]
        else:
            class_names = tuple(map(str, range(int(arrays[1].max(initial=0)) + 1)))
    elif name == "fashion_mnist":
        arrays, class_names = _read_quadruple(EMBEDDED, SHA256), CLASS_NAMES[name]
    elif name == "emoji":
        arrays, class_names, captions = emoji.read(image_size)
    elif name == "stacked_fashion_mnist":
        arrays = stacked.of(_read_quadruple(EMBEDDED, SHA256))
        class_names = tuple(f"{k:03d}" for k in range(stacked.NUM_CLASSES))
    elif name in CLASS_NAMES:
        arrays, class_names = _download(name), CLASS_NAMES[name]
    elif name in toy.MIXTURES:
        arrays = toy.read(name)
        class_names = tuple(map(str, range(toy.MIXTURES[name].num_modes)))
    else:
        names = ", ".join((*CLASS_NAMES, "emoji", "stacked_fashion_mnist", *toy.MIXTURES))
        raise InputError(
            f"no data set named {name!r}: choose {names}, folder:PATH, tfds:NAME or hf:NAME, or "
            "give --data_dir"
        )
    return _split(name, arrays, class_names, how, captions=captions, share=validation)


def of_arrays(data, validation: float | None = None, test: float | None = None) -> Dataset:
    """A data set of images that a program has.

    A tenth of them, chosen once for all at random, is the test split, and a tenth of the rest the
    validation split, if nothing else is asked for.

    Args:
      data: images, or a pair of images and labels; or a `tf.data.Dataset` of either, in batches or
        one by one. Images are uint8, or float in [0, 1], [N, H, W, C]; labels integers, [N].
      validation: share of the training images that is the validation split.
      test: share of all images that is the test split.

    Raises:
      InputError: they are not that.
    """
    if hasattr(data, "as_numpy_iterator"):
        data = _gathered(data)
    images, labels = data if isinstance(data, tuple | list) else (data, None)
    images = np.asarray(images)
    if images.ndim != 4 or 0 in images.shape or images.dtype.kind not in "uf":
        raise InputError(f"images are {images.dtype} {images.shape}: they must be [N, H, W, C]")
    if images.dtype != np.uint8:
        if images.dtype.kind != "f" or not ((images >= 0) & (images <= 1)).all():
            raise InputError("images must be uint8, or floating point numbers in [0, 1]")
        images = np.round(images * 255).astype(np.uint8)
    labels = np.zeros(len(images), np.int32) if labels is None else np.asarray(labels)
    if labels.dtype.kind not in "ui" or labels.shape not in ((len(images),), (len(images), 1)):
        raise InputError(f"labels are {labels.dtype} {labels.shape}: an integer for each image")
    labels = labels.reshape(-1)
    if labels.min() < 0:
        raise InputError(f"labels must be 0, 1, ..., and one is {labels.min()}")
    known = isinstance(data, tuple | list)
    class_names = tuple(map(str, range(int(labels.max()) + 1))) if known else ()
    order = np.random.default_rng(0).permutation(len(images))
    count = pictures.number_of(test, len(images)) or int(test is None)
    held_out, train = np.split(order, [count])
    labels = labels.astype(np.int32)
    arrays = (images[train], labels[train], images[held_out], labels[held_out])
    return _split(ARRAYS, arrays, class_names, "", share=validation)


def _gathered(dataset):
    """The images, or images and labels, of all elements of a finite `tf.data.Dataset`."""
    if dataset.cardinality() < 0 and dataset.cardinality() != -2:
        raise InputError("the dataset never ends: take(N) images of it")
    elements = list(dataset.as_numpy_iterator())
    if not elements:
        raise InputError("there are no images in the dataset")
    pairs = isinstance(elements[0], tuple)
    batched = (elements[0][0] if pairs else elements[0]).ndim == 4
    join = np.concatenate if batched else np.stack
    return tuple(map(join, zip(*elements, strict=True))) if pairs else join(elements)


def _read_pictures(
    name: str,
    data_dir: str | None,
    reading: pictures.Reading,
    digest: str | None,
    validation: float | None,
) -> Dataset:
    size = reading.image_size
    how = f"; {pictures.RESIZE[reading.fit]} to {size}x{size}" if size else ""

    def read(reading: pictures.Reading) -> Dataset:
        if name.startswith("folder:"):
            found = folder.read(files.local_path(name.removeprefix("folder:")), reading)
        else:
            found = libraries.read(name, data_dir, reading)
        x, y = found.parts["train"]
        arrays = [x, y, *found.parts.get("test", (x[:0], y[:0]))]
        read = _split(
            name,
            arrays,
            found.class_names,
            how,
            found.parts.get("validation"),
            share=validation,
            remembered=found.remembered,
        )
        return dataclasses.replace(
            read,
            num_broken=found.num_broken,
            description=read.description + one_line(found.remarks),
        )

    failure = None
    try:
        now = read(reading)
        if digest in (None, now.digest) or not name.startswith("folder:"):
            return now
        if store.is_on_disk(now.train.images):  # too large for the versions that read otherwise
            return now
    except InputError as e:
        if digest is None or not name.startswith("folder:"):
            raise
        failure = e
    for earlier in ({"exactly": True}, {"exactly": True, "before": True}):
        with contextlib.suppress(InputError):
            if (then := read(dataclasses.replace(reading, **earlier))).digest == digest:
                return then
    if failure is not None:
        raise failure
    return now


def _split(
    name,
    arrays,
    class_names,
    how,
    validation=None,
    *,
    share: float | None = None,
    captions=None,
    remembered: Callable[[str, Callable[[], str]], str] = lambda key, compute: compute(),
) -> Dataset:
    """Splits the last training images off, unless there is a `validation` of (images, labels)."""
    images, labels, test_images, test_labels = arrays
    parts = {"train": (images, labels), "test": (test_images, test_labels)}
    if validation is not None:
        parts["validation"] = validation
    for part, (x, y) in parts.items():
        if class_names and (bad := int(y.max(initial=0))) >= len(class_names):
            raise InputError(
                f"{name}{how}: a {part} label is {bad}, outside the {len(class_names)} classes"
            )
        if x.shape[1:] != images.shape[1:]:
            raise InputError(
                f"{name}{how}: training images are {images.shape[1:]}, {part} images {x.shape[1:]}"
            )
    if len(images) < 10:
        raise InputError(f"{name}{how}: {len(images)} training images are too few (10 at least)")
    if validation is None:
        count = pictures.number_of(share, len(images))
        cut = len(images) - (min(NUM_VALIDATION, count) if share is None else count)
        parts["train"], parts["validation"] = (
            (images[:cut], labels[:cut]),
            (images[cut:], labels[cut:]),
        )
    elif share:
        raise InputError(f"{name} has a validation split of its own: leave validation out")
    whole = [*arrays, *(validation or ())]
    layout = ", ".join(f"{array.dtype} {array.shape}" for array in whole)
    splits = {part: Split(*pair) for part, pair in parts.items()}
    if captions is not None:
        of_train, of_test = captions
        of = {"train": of_train[:cut], "validation": of_train[cut:], "test": of_test}
        splits = {k: dataclasses.replace(v, captions=of[k]) for k, v in splits.items()}
    sizes = ", ".join(f"{len(splits[part]):,} {part}" for part in ("train", "validation", "test"))
    counts = np.bincount(splits["train"].labels, minlength=len(class_names))
    unseen = ", ".join(itertools.compress(class_names, counts == 0))
    return Dataset(
        name=name,
        **splits,
        class_names=tuple(class_names),
        digest=remembered(layout, lambda: _digest(whole)),
        description=one_line(
            f"{name}{how}: {sizes} images of {'x'.join(map(str, images.shape[1:]))}"
            + (f"; warning: not one to train on of class {unseen}" if unseen else "")
            + ("" if class_names else ", without labels")
        ),
    )


def _digest(arrays: Sequence[np.ndarray]) -> str:
    """SHA-256 of arrays, which need not be in memory."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        step = max(1, _BLOCK // max(1, array[:1].nbytes))
        for start in range(0, len(array), step):
            digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()


def _read_quadruple(root: pathlib.Path, sha256: dict[str, str] | None = None) -> list[np.ndarray]:
    arrays = []
    for i, file in enumerate(FILES):
        path = _idx_file(root, file)
        if sha256:
            with open(path, "rb") as f:
                if hashlib.file_digest(f, "sha256").hexdigest() != sha256[file]:
                    raise InputError(
                        f"{path}: checksum mismatch: the file is damaged, install zoo anew"
                    )
        arrays.append(idx.read_labels(path) if i % 2 else idx.read_images(path))
        if i % 2 and len(arrays[-1]) != len(arrays[-2]):
            raise InputError(f"{path}: {len(arrays[-1])} labels for {len(arrays[-2])} images")
    return arrays


def _idx_file(root: pathlib.Path, file: str) -> pathlib.Path:
    """The file of that name, or of the same as unpackers spell it; gzipped or not."""
    names = (file, file.replace("-idx", ".idx"))
    for name in (f"{name}{suffix}" for name in names for suffix in (".gz", "")):
        if (root / name).is_file():
            return root / name
    raise InputError(f"{root / file}: no such file, gzipped or not (nor {names[1]})")


def _download(name: str) -> list[np.ndarray]:
    import keras

    try:
        (x, y), (test_x, test_y) = getattr(keras.datasets, name).load_data()
    except Exception as e:  # whatever a network, a cache or a proxy can raise
        instead = "" if name in NOT_READ else ": give --data_dir with its files"
        raise InputError(f"{name} could not be downloaded ({reason(e)}){instead}") from None
    images = [v if v.ndim == 4 else v[..., None] for v in (x, test_x)]
    labels = [v.reshape(-1).astype(np.int32) for v in (y, test_y)]
    return [images[0], labels[0], images[1], labels[1]]
