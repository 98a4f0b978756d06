"""EfficientNet-Lite0: its weights, what it sees in photographs, and the feature net made of it."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

import zoo
from zoo.data import sources
from zoo.evaluation import efficientnet, features

# names of emoji -> ImageNet's classes that they are
OF_EMOJI = {
    "soccer ball": 805,
    "basketball and hoop": 430,
    "baseball": 429,
    "tennis racquet and ball": 852,
    "violin": 889,
    "flamingo": 130,
    "lady beetle": 301,
    "umbrella": 879,
    "badger": 362,
    "bell pepper": 945,
    "pretzel": 932,
    "sunglasses": 837,
    "teapot": 849,
    "balloon": 417,
    "scorpion": 71,
    "butterfly": 323,
}


def logits(images):
    side = efficientnet.SIDE
    images = tf.image.resize(images / np.float32(255), (side, side), "bicubic", antialias=True)
    return efficientnet.network()(images)[1].numpy()


def test_photographs_are_what_they_show():
    palace, daisy = 698, 985
    for photograph, label in zip(load_sample_images().images, (palace, daisy), strict=True):
        height, width, _ = photograph.shape
        left = (width - height) // 2
        assert logits(photograph[None, :, left : left + height]).argmax() == label


def test_emoji_are_often_among_the_five_likeliest_classes():
    emoji = sources.load("emoji", image_size=64)
    known = {
        name: image
        for split in (emoji.train, emoji.validation, emoji.test)
        for name, image in zip(split.captions, split.images, strict=True)
    }
    scores = logits(np.stack([known[name] for name in OF_EMOJI]))
    ranks = [(s > s[y]).sum() for s, y in zip(scores, OF_EMOJI.values(), strict=True)]
    assert (np.array(ranks) < 5).mean() > 0.9  # of 1,000 classes


@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_features_of_pictures_of_any_size(channels):
    net = features.efficientnet_lite0((20, 30, channels))
    images = np.random.default_rng(0).integers(0, 256, (60, 20, 30, channels), np.uint8)
    of, p = net.see([images[:55], images[55:]])
    assert of.shape == (60, 1280) and p is None and net.num_classes is None
    assert (of >= 0).all() and (of.std(0) > 0).mean() > 0.5
    again, _ = net.see([images])
    np.testing.assert_allclose(of, again, atol=1e-4)
    with pytest.raises(zoo.InputError, match="does not classify"):
        features.check_classifies(net)


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    content = bytearray(efficientnet.FILE.read_bytes())
    content[5000] ^= 1
    (tmp_path / "weights.npz").write_bytes(content)
    monkeypatch.setattr(efficientnet, "FILE", tmp_path / "weights.npz")
    efficientnet.network.cache_clear()
    with pytest.raises(zoo.InputError, match="weights.npz: checksum mismatch"):
        efficientnet.network()
    efficientnet.network.cache_clear()
