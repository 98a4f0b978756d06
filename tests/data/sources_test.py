"""Data sets: the splits are disjoint parts of the files, and bad input is named."""

import gzip
import os
import shutil
import tracemalloc

import keras
import numpy as np
import pytest
from PIL import Image

from zoo.data import idx, images, pictures, sources
from zoo.errors import InputError


def raw(name, offset, shape):
    with gzip.open(sources.EMBEDDED / f"{name}.gz") as f:
        return np.frombuffer(f.read(), np.uint8, offset=offset).reshape(shape)


def test_the_three_splits_are_disjoint_parts_of_the_files(fashion_mnist):
    images = raw(sources.FILES[0], 16, (60_000, 28, 28, 1))
    labels = raw(sources.FILES[1], 8, (60_000,))
    # positions 0..54,999 and 55,000..59,999 of one file, and all of the other
    np.testing.assert_array_equal(fashion_mnist.train.images, images[:55_000])
    np.testing.assert_array_equal(fashion_mnist.validation.images, images[55_000:])
    np.testing.assert_array_equal(fashion_mnist.train.labels, labels[:55_000])
    np.testing.assert_array_equal(fashion_mnist.validation.labels, labels[55_000:])
    np.testing.assert_array_equal(
        fashion_mnist.test.images, raw(sources.FILES[2], 16, (10_000, 28, 28, 1))
    )
    np.testing.assert_array_equal(fashion_mnist.test.labels, raw(sources.FILES[3], 8, (10_000,)))
    assert fashion_mnist.train.images.dtype == np.uint8
    assert not np.shares_memory(fashion_mnist.train.images, fashion_mnist.test.images)


def test_a_data_dir_gives_the_same_set_as_its_source(data_dir, fashion_mnist):
    read = sources.load("fashion_mnist", data_dir)
    assert (len(read.train), len(read.validation), len(read.test)) == (576, 64, 100)
    np.testing.assert_array_equal(read.train.images, fashion_mnist.train.images[:576])
    assert read.class_names == fashion_mnist.class_names
    assert read.digest != fashion_mnist.digest


def test_a_damaged_embedded_file_is_refused(tmp_path, monkeypatch):
    shutil.copytree(sources.EMBEDDED, tmp_path / "copy")
    path = tmp_path / "copy" / f"{sources.FILES[3]}.gz"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    monkeypatch.setattr(sources, "EMBEDDED", tmp_path / "copy")
    with pytest.raises(InputError, match="checksum mismatch") as error:
        sources.load()
    assert str(path) in str(error.value)


@pytest.fixture
def copy(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / "set")
    return tmp_path / "set"


def test_labels_that_do_not_match(copy):
    idx.write(copy / f"{sources.FILES[1]}.gz", np.zeros(639))
    with pytest.raises(InputError, match="639 labels for 640 images"):
        sources.load(data_dir=copy)


def test_a_label_outside_the_classes(copy):
    idx.write(copy / f"{sources.FILES[3]}.gz", np.full(100, 10))
    with pytest.raises(InputError, match="a test label is 10, outside the 10 classes"):
        sources.load(data_dir=copy)


def test_a_data_dir_of_any_number_of_classes(copy):
    idx.write(copy / f"{sources.FILES[1]}.gz", np.arange(640) % 26)
    read = sources.load(data_dir=copy)
    assert read.name == "set" and read.class_names == tuple(map(str, range(26)))
    with pytest.raises(InputError, match="a train label is 25, outside the 10 classes"):
        sources.load("fashion_mnist", data_dir=copy)


def test_a_missing_file(copy):
    (copy / f"{sources.FILES[2]}.gz").unlink()
    with pytest.raises(InputError, match=f"{sources.FILES[2]}: no such file"):
        sources.load(data_dir=copy)


def test_idx_files_under_the_names_that_unpackers_give_them(copy, data_dir):
    digest = sources.load(data_dir=data_dir).digest
    dotted = [name.replace("-idx", ".idx") for name in sources.FILES]
    for i, (old, new) in enumerate(zip(sources.FILES, dotted, strict=True)):
        content = (copy / f"{old}.gz").read_bytes()
        (copy / f"{old}.gz").unlink()
        if i % 2:  # each by itself gzipped or not
            (copy / f"{new}.gz").write_bytes(content)
        else:
            (copy / new).write_bytes(gzip.decompress(content))
    assert sources.load(data_dir=copy).digest == digest
    (copy / dotted[2]).unlink()
    os.mkfifo(copy / dotted[2])  # no one writes to it
    with pytest.raises(InputError, match=f"{sources.FILES[2]}: no such file"):
        sources.load(data_dir=copy)


def test_the_checksums_are_of_files_that_are_not_held_in_memory(tmp_path):
    files = [tmp_path / f"{name}.gz" for name in sources.FILES]
    for file in files:
        file.write_bytes(b"x" * 4_000_000)
    tracemalloc.start()
    with pytest.raises(InputError, match="checksum mismatch"):
        sources._read_quadruple(tmp_path, sources.SHA256)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "imagenet"}, "no data set named 'imagenet'"),
        ({"image_size": 32}, "image_size goes with"),
        ({"name": "folder:/x", "data_dir": "/y"}, "not both"),
        ({"name": "cifar10", "data_dir": "/y"}, "cifar10 is downloaded, not read"),
        ({"name": "folder:/does/not/exist"}, "/does/not/exist: no such folder"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InputError, match=message):
        sources.load(**arguments)


def test_keras_datasets(monkeypatch):
    x, y = np.zeros((200, 32, 32, 3), np.uint8), np.arange(200)[:, None] % 10
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: ((x, y), (x[:50], y[:50])))
    read = sources.load("cifar10")
    assert read.image_shape == (32, 32, 3) and read.class_names[3] == "cat"
    np.testing.assert_array_equal(read.train.labels, np.arange(180) % 10)


def test_a_failed_download_is_one_line(monkeypatch):
    def fail():
        raise OSError("no route to host\nand more")

    for name, instead in (("mnist", ": give --data_dir with its files"), ("cifar10", "")):
        monkeypatch.setattr(getattr(keras.datasets, name), "load_data", fail)
        with pytest.raises(InputError) as e:
            sources.load(name)
        assert str(e.value) == f"{name} could not be downloaded (no route to host){instead}"


@pytest.fixture
def classes(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{i}.png")
    return tmp_path / "set"


def test_a_folder_of_classes(classes):
    read = sources.load(f"folder:{classes}")
    assert read.class_names == ("cat", "dog") and read.image_shape == (8, 8, 1)
    every = np.concatenate([s.images for s in (read.train, read.validation, read.test)])
    files = [np.asarray(Image.open(f)) for f in sorted(classes.glob("*/*.png"))]
    as_set = lambda images: {bytes(np.ascontiguousarray(i)) for i in images}  # noqa: E731
    assert len(every) == 20 and as_set(every) == as_set(files)
    again = sources.load(f"folder:{classes}")
    assert again.digest == read.digest


def test_train_and_test_folders(classes, tmp_path):
    shutil.copytree(classes, tmp_path / "both" / "train")
    shutil.copytree(classes / "dog", tmp_path / "both" / "test" / "dog")
    for part in ("train", "test"):
        (tmp_path / "both" / part / ".hidden").mkdir()
    read = sources.load(f"folder:{tmp_path / 'both'}")
    assert len(read.test) == 10 and set(read.test.labels) == {1}
    (tmp_path / "both" / "test" / "emu").mkdir()
    with pytest.raises(InputError, match="emu: a class that train does not have"):
        sources.load(f"folder:{tmp_path / 'both'}")


def test_resize_is_stated_and_made(classes):
    Image.new("RGB", (20, 10), (255, 0, 0)).save(classes / "cat" / "wide.jpg")
    with pytest.raises(InputError, match="image_size") as error:
        sources.load(f"folder:{classes}")
    assert "20x10" in str(error.value) or "8x8" in str(error.value)
    read = sources.load(f"folder:{classes}", image_size=16)
    assert read.image_shape == (16, 16, 3) and pictures.RESIZE["crop"] in read.description


def test_an_undecodable_image(classes):
    path = classes / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match="cannot be decoded") as error:
        sources.load(f"folder:{classes}")
    assert str(path) in str(error.value)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="no PNG, JPEG, WebP or BMP files$"):
        sources.load(f"folder:{tmp_path}")


def test_validation_has_every_class_of_a_train_folder(classes, tmp_path):
    for name in ("cat", "dog"):
        for i in range(10, 100):
            shutil.copy(classes / name / "0.png", classes / name / f"{i}.png")
    for part in ("train", "test"):
        shutil.copytree(classes, tmp_path / "both" / part)
    read = sources.load(f"folder:{tmp_path / 'both'}")
    assert len(read.validation) == 20 and set(read.validation.labels) == {0, 1}


def test_names_of_files_may_be_of_any_bytes_and_those_of_classes_not(classes):
    first = min((classes / "cat").iterdir())
    odd = os.fsdecode(b"caf\xe9")
    first.rename(first.with_name(f"{odd}.png"))
    read = sources.load(f"folder:{classes}")
    assert len(read.train) + len(read.validation) + len(read.test) == 20
    (classes / "cat").rename(classes / odd)
    with pytest.raises(InputError, match="is not UTF-8: rename it"):
        sources.load(f"folder:{classes}")


def test_a_class_folder_that_cannot_be_read_is_not_an_empty_one(classes, tmp_path, monkeypatch):
    (tmp_path / "both").mkdir()
    for part in ("train", "test"):
        shutil.copytree(classes, tmp_path / "both" / part)
    scandir = os.scandir

    def refused(path):
        if path == tmp_path / "both" / "test" / "cat":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PermissionError):
        sources.load(f"folder:{tmp_path / 'both'}")


def test_a_class_folder_without_images(classes):
    (classes / "emu").mkdir()
    with pytest.raises(InputError, match="no PNG, JPEG, WebP or BMP files in this class") as error:
        sources.load(f"folder:{classes}")
    assert str(classes / "emu") in str(error.value)


@pytest.mark.parametrize("image_size", [0, -3])
def test_a_bad_image_size(classes, image_size):
    with pytest.raises(InputError, match=f"image_size is {image_size}"):
        sources.load(f"folder:{classes}", image_size=image_size)


def test_more_pixels_than_the_disk_holds_are_refused_by_the_headers(classes, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, 10**10))
    with pytest.raises(InputError, match="take 72.0 GB in .*, where 10.0 GB are free"):
        sources.load(f"folder:{classes}", image_size=60_000)


def test_images_are_upright_and_what_is_transparent_is_white(tmp_path):
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    lying = Image.Exif()
    lying[0x0112] = 6  # orientation: to be turned by 90 degrees, clockwise
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=lying)
    upright = np.rot90(pixels, -1)
    np.testing.assert_array_equal(images.decode(tmp_path / "x.png", "L", None), upright)
    alpha = np.where(pixels < 32, 0, 255).astype(np.uint8)
    Image.fromarray(np.stack([pixels, alpha], -1), "LA").save(tmp_path / "y.png")
    shown = np.where(pixels < 32, 255, pixels)
    for mode, expected in (("L", shown), ("RGB", np.stack([shown] * 3, -1))):
        np.testing.assert_array_equal(images.decode(tmp_path / "y.png", mode, None), expected)


def test_a_class_without_an_image_to_train_on_is_said(tmp_path):
    labels = 1 + np.arange(20, dtype=np.uint8) % 3  # as EMNIST's letters begin with 1
    images = np.zeros([20, 4, 4], np.uint8)
    for name, array in zip(sources.FILES, (images, labels, images, labels), strict=True):
        idx.write(tmp_path / f"{name}.gz", array)
    read = sources.load("letters", data_dir=str(tmp_path))
    assert read.description.endswith("; warning: not one to train on of class 0")


def test_a_crop_alone_keeps_the_pixels(tmp_path):
    pixels = np.tile(np.array([0, 255] * 4 + [0], np.uint8), (8, 1))
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(images.decode(tmp_path / "x.png", "L", 8), pixels[:, :8])
