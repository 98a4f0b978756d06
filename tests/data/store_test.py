"""Decoded pictures are kept: known by names, sizes and times, read from the file, the same bits."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data import images, pipeline, sources, store
from zoo.data.pictures import TENTH

SIZE = 8


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache in which the smallest set is kept, and from which all are read as if too large."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "SMALL", 0)
    monkeypatch.setattr(store, "IN_MEMORY", 0)
    return tmp_path / "cache" / "pictures"


@pytest.fixture
def pictures(tmp_path):
    """60 pictures of two classes."""
    rng = np.random.default_rng(0)
    for i in range(60):
        place = tmp_path / "set" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), np.uint8)).save(place / f"{i}.png")
    return tmp_path / "set"


@pytest.fixture
def decoded(monkeypatch):
    """The files that were decoded."""
    found, decode = [], images.decode
    monkeypatch.setattr(
        images, "decode", lambda path, *rest: found.append(path) or decode(path, *rest)
    )
    return found


def load(path, **options):
    return sources.load(f"folder:{path}", image_size=SIZE, **options)


def same(a, b):
    assert a.digest == b.digest and a.class_names == b.class_names
    for part in ("train", "validation", "test"):
        one, other = getattr(a, part), getattr(b, part)
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels, other.labels)


def test_a_set_is_decoded_once_and_is_what_it_is_in_memory(pictures, cache, decoded, monkeypatch):
    first = load(pictures)
    assert len(decoded) == 60 and store.is_on_disk(first.train.images)
    second = load(pictures)
    assert len(decoded) == 60
    monkeypatch.setattr(store, "IN_MEMORY", 1 << 30)
    third = load(pictures)
    assert not store.is_on_disk(third.train.images) and len(decoded) == 60
    shutil.rmtree(cache)
    monkeypatch.setattr(store, "SMALL", 1 << 30)
    fourth = load(pictures)
    assert not cache.exists() and len(decoded) == 120
    for other in (second, third, fourth):
        same(first, other)


def test_the_digest_is_computed_once(pictures, cache, monkeypatch):
    first = load(pictures).digest
    monkeypatch.setattr(sources, "_digest", lambda arrays: 1 / 0)
    assert load(pictures).digest == first
    with pytest.raises(ZeroDivisionError):  # of another split
        load(pictures, test=0.5)


@pytest.mark.parametrize("change", ["touched", "longer", "renamed", "gone", "new"])
def test_a_change_of_the_files_is_seen(pictures, cache, decoded, change):
    load(pictures)
    file = pictures / "a" / "0.png"
    if change == "touched":
        os.utime(file, ns=(1, 1))
    elif change == "longer":
        about = file.stat()
        file.write_bytes(file.read_bytes() + b"\0")
        os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    elif change == "renamed":
        file.rename(file.with_name("00.png"))
    elif change == "gone":
        file.unlink()
    else:
        shutil.copy(file, file.with_name("x.png"))
    count = len(decoded)
    load(pictures)
    assert len(decoded) == count + {"gone": 59, "new": 61}.get(change, 60)
    assert len(list(cache.glob("*/pixels"))) == 1  # in place of the old ones


def test_other_options_are_other_pixels_and_both_are_kept(pictures, cache, decoded):
    kinds = [{}, {"fit": "pad"}, {"gray": True}]
    found = [load(pictures, **kind) for kind in kinds]
    assert len({read.digest for read in found}) == 3
    assert found[2].image_shape == (SIZE, SIZE, 1)
    count = len(decoded)
    for kind, read in zip(kinds, found, strict=True):
        same(read, load(pictures, **kind))
    assert len(decoded) == count


@pytest.mark.parametrize("damage", ["about", "shorter", "empty", "other"])
def test_a_damaged_store_is_made_again(pictures, cache, decoded, damage):
    expected = load(pictures)
    [about] = cache.glob("*/about.json")
    pixels = about.with_name("pixels")
    if damage == "about":
        about.write_text("{")
    elif damage == "shorter":
        os.truncate(pixels, 100)
    elif damage == "empty":
        shutil.rmtree(about.parent)
        about.parent.mkdir()
    else:
        about.write_text(json.dumps({"fingerprint": 3}))
    expected_images = np.array(expected.test.images) if damage != "shorter" else None
    again = load(pictures)
    assert len(decoded) == 120 and again.digest == expected.digest
    if expected_images is not None:
        np.testing.assert_array_equal(again.test.images, expected_images)


def test_broken_files_are_left_out_of_a_store_and_remembered(pictures, cache, decoded):
    whole = load(pictures)
    (pictures / "a" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (pictures / "b" / "too.png").write_text("no picture")
    with pytest.raises(zoo.InputError, match="2 of 62 images cannot be decoded: .*broken.png"):
        load(pictures)
    found = load(pictures, skip_broken=True)
    assert found.num_broken == 2
    same(whole, found)
    count = len(decoded)
    same(found, load(pictures, skip_broken=True))
    assert load(pictures, skip_broken=True).num_broken == 2 and len(decoded) == count


def test_what_a_killed_process_left_is_removed(pictures, cache):
    load(pictures)
    [made] = [path for path in cache.iterdir() if path.is_dir()]
    left = cache / f".{made.name}.0123.partial"
    left.mkdir()
    (left / "pixels").write_bytes(b"x" * 100)
    (pictures / "a" / "0.png").unlink()
    load(pictures)
    assert not left.exists()


def test_a_cache_that_cannot_be_written_is_a_warning_and_one_that_is_full_an_error(
    pictures, cache, monkeypatch, capsys
):
    cache.parent.mkdir()
    cache.write_text("a file")
    found = load(pictures)
    assert "decoded pictures cannot be kept in" in capsys.readouterr().err
    assert not store.is_on_disk(found.train.images)
    cache.unlink()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1))
    with pytest.raises(zoo.InputError, match="60 pictures of 8x8x3 take .*set ZOO_CACHE"):
        load(pictures)
    assert not list(cache.glob("*"))


def test_a_disk_that_gets_full_is_a_warning(pictures, cache, monkeypatch, capsys):
    def full(descriptor, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    plain = load(pictures)
    assert "cannot be kept in" in capsys.readouterr().err and not list(cache.glob("*/pixels"))
    monkeypatch.undo()
    same(load(pictures), plain)


def test_a_store_that_is_out_of_date_makes_room(pictures, cache, monkeypatch):
    load(pictures)
    [old] = cache.glob("*/pixels")
    Image.new("RGB", (9, 9)).save(pictures / "a" / "new.png")
    used, size = store.shutil.disk_usage, 61 * SIZE * SIZE * 3 + (1 << 26)

    def usage(path):  # as large as one store
        return used(path)._replace(free=size - (1 if old.exists() else 0))

    monkeypatch.setattr(store.shutil, "disk_usage", usage)
    assert len(load(pictures).train) > 0 and old.stat().st_size == 61 * SIZE * SIZE * 3


def test_batches_are_those_of_the_set_in_memory(pictures, cache, monkeypatch):
    on_disk = load(pictures).train
    in_memory = sources.Split(np.array(on_disk.images), on_disk.labels)
    assert store.is_on_disk(on_disk.images) and not store.is_on_disk(in_memory.images)
    for settings in ({}, {"binarization": "stochastic"}, {"flip": True}):
        batches = [
            list(pipeline.train_batches(s, 16, seed=3, start=1, stop=9, **settings))
            for s in (on_disk, in_memory)
        ]
        for (x, y), (u, v) in zip(*batches, strict=True):
            np.testing.assert_array_equal(x, u)
            np.testing.assert_array_equal(y, v)
    for (x, y), (u, v) in zip(
        *(pipeline.evaluation_batches(s, 7) for s in (on_disk, in_memory)), strict=True
    ):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)
    some = on_disk.subset(5)
    assert not store.is_on_disk(some.images)
    np.testing.assert_array_equal(some.images, in_memory.subset(5).images)


def test_many_pictures_take_no_memory(pictures, cache):
    """Reading batches of a set in a file holds none of its pixels that nothing has asked for."""
    found = load(pictures)
    assert found.train.images.base is not None
    assert isinstance(found.validation.images, np.memmap)
    assert not found.train.images.flags.writeable


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="the system does not tell")
def test_no_more_than_a_batch_is_read_of_a_file(pictures, cache):
    """The mapping is marked as read at random, so that nothing around a picture is read."""

    def flags():
        with open("/proc/self/smaps") as f:
            _, _, mapping = f.read().rpartition(f"{cache}/")
        return mapping.partition("VmFlags:")[2].split("\n")[0].split()

    found = load(pictures)
    assert "rr" not in flags()
    kept = np.array([3, 1])
    np.testing.assert_array_equal(
        store.rows(found.validation.images, kept), np.array(found.validation.images)[kept]
    )
    assert "rr" in flags()


def test_large_jpegs_are_decoded_in_part_and_look_the_same(tmp_path):
    side = 640
    y, x = np.mgrid[:side, :side] / side
    pixels = np.stack([np.sin(9 * x) + 1, np.cos(7 * y) + 1, x + y], -1) * 127
    path = tmp_path / "large.jpg"
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)
    quick, exact = (images.decode(path, "RGB", 32, "crop", e).astype(int) for e in (False, True))
    assert (quick != exact).any() and np.abs(quick - exact).max() < 6
    small = [images.decode(path, "RGB", 400, "crop", e) for e in (False, True)]
    np.testing.assert_array_equal(*small)  # all pixels are needed


@pytest.mark.parametrize(("width", "height"), [(6, 12), (12, 6)])
def test_padded_pictures_are_whole_in_a_white_square(tmp_path, width, height):
    path = tmp_path / "black.png"
    Image.new("RGB", (width, height)).save(path)
    found = images.decode(path, "RGB", 12, "pad")
    assert found.shape == (12, 12, 3)
    dark = found[..., 0] < 128
    assert dark.sum() == 72 and (dark.all(0).sum(), dark.all(1).sum()) == (
        (6, 0) if height == 12 else (0, 6)
    )
    assert not images.decode(path, "RGB", 12, "crop").any()
    gray = tmp_path / "gray.png"
    Image.new("L", (width, height)).save(gray)
    assert images.decode(gray, "L", 12, "pad")[0, 0] == 255


def test_gray_and_shares_are_as_they_are_asked_for(pictures):
    found = load(pictures, gray=True, validation=0.25, test=0.2)
    assert [len(s) for s in (found.train, found.validation, found.test)] == [36, 12, 12]
    assert found.image_shape == (8, 8, 1)
    found = load(pictures, validation=0.0, test=0.0)
    assert [len(s) for s in (found.train, found.validation, found.test)] == [60, 0, 0]
    assert [len(s) for s in (load(pictures).train, load(pictures).test)] == [49, 6]


def test_shares_of_splits_that_are_there_already_are_refused(tmp_path):
    for part in ("train", "test", "val"):
        place = tmp_path / "set" / part
        place.mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (8, 8), (i, i, i)).save(place / f"{i}.png")
    with pytest.raises(zoo.InputError, match="test is the test split: leave test out"):
        load(tmp_path / "set", test=0.5)
    with pytest.raises(zoo.InputError, match="has a validation split of its own"):
        load(tmp_path / "set", validation=0.5)
    with pytest.raises(zoo.InputError, match="gray goes with --dataset=folder:PATH, "):
        sources.load("fashion_mnist", gray=True)


def test_a_folder_is_known_wherever_it_is_reached_from(pictures, cache, decoded, tmp_path):
    load(pictures)
    (tmp_path / "link").symlink_to(pictures)
    load(tmp_path / "link")
    assert len(decoded) == 60 and TENTH == 10
