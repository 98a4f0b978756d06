"""The data sets in color that come with the package."""

import numpy as np
import pytest

import zoo
from zoo.data import emoji, sources


@pytest.fixture(scope="module")
def large():
    return sources.load("emoji", image_size=64)


def test_emoji_are_the_pictures_of_their_names_and_categories(large):
    assert [len(s) for s in (large.train, large.validation, large.test)] == [1540, 171, 200]
    names = np.concatenate([s.captions for s in (large.train, large.validation, large.test)])
    images = np.concatenate([s.images for s in (large.train, large.validation, large.test)])
    labels = np.concatenate([s.labels for s in (large.train, large.validation, large.test)])
    assert len(names) == 1911 and len(set(names)) >= 1910  # families are two
    middle = dict(zip(names, images[:, 32, 32].astype(int), strict=True))
    for name, channel in (("large red circle", 0), ("green heart", 1), ("large blue circle", 2)):
        assert middle[name].argmax() == channel and np.ptp(middle[name]) > 60
    of = {n: large.class_names[y] for n, y in zip(names, labels, strict=True)}
    assert of["belarus flag"] == "Flags" and of["peacock"] == "Animals & Nature"
    assert (images[:, 0, 0] == 255).all(-1).mean() > 0.7  # on white


def test_emoji_are_smaller_by_default_and_the_same_pictures(large):
    small = sources.load("emoji")
    assert small.image_shape == (32, 32, 3) and small.class_names == large.class_names
    np.testing.assert_array_equal(small.train.captions, large.train.captions)
    halves = large.test.images.reshape(200, 32, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(small.test.images - halves).mean() < 5
    assert small.digest != large.digest


def test_a_part_of_a_split_keeps_its_captions(large):
    part = large.test.subset(7)
    np.testing.assert_array_equal(large.test.subset(9).captions[:7], part.captions)
    known = dict(zip(large.test.captions, large.test.images, strict=True))
    for caption, image in zip(part.captions, part.images, strict=True):
        np.testing.assert_array_equal(known[caption], image)
    np.testing.assert_array_equal(large.test.first(3).captions, large.test.captions[:3])


def test_a_damaged_file_or_too_large_a_size_is_refused(tmp_path, monkeypatch):
    with pytest.raises(zoo.InputError, match="image_size is 65, and emoji have 64 pixels"):
        sources.load("emoji", image_size=65)
    with pytest.raises(zoo.InputError, match="emoji is embedded, not read: leave --data_dir out"):
        sources.load("emoji", data_dir=tmp_path)
    content = bytearray(emoji.FILE.read_bytes())
    content[1000] ^= 1
    (tmp_path / "emoji.npz").write_bytes(content)
    monkeypatch.setattr(emoji, "FILE", tmp_path / "emoji.npz")
    with pytest.raises(zoo.InputError, match=r"emoji.npz: checksum mismatch"):
        sources.load("emoji")
    monkeypatch.setattr(emoji, "FILE", tmp_path / "gone.npz")
    with pytest.raises(zoo.InputError, match="No such file or directory: install zoo anew"):
        sources.load("emoji")


def test_each_channel_of_stacked_garments_is_a_garment_of_its_digit(fashion_mnist):
    stacked = sources.load("stacked_fashion_mnist")
    assert stacked.image_shape == (28, 28, 3) and stacked.num_classes == 1000
    assert len(stacked.test) == 26_000
    known = {}
    for split in (fashion_mnist.train, fashion_mnist.validation):
        for image, label in zip(split.images, split.labels, strict=True):
            known.setdefault(image.tobytes(), set()).add(int(label))
    for image, label in zip(stacked.train.images[:200], stacked.train.labels[:200], strict=True):
        for channel, digit in enumerate(f"{label:03d}"):
            assert int(digit) in known[image[..., channel].tobytes()]
    counts = np.bincount(stacked.test.labels, minlength=1000)
    assert ((counts - 26) ** 2 / 26).sum() < 1200  # chi squared of 999 degrees: uniform modes
    assert stacked.digest == sources.load("stacked_fashion_mnist").digest
