"""Modes of stacked garments: which are covered, how evenly, by a classifier of each channel."""

import numpy as np
import pytest

from zoo.data import Split, sources
from zoo.evaluation import evaluate, features
from zoo.evaluation.metrics import classes_covered
from zoo.training import inputs


def one_hot(classes, k):
    return np.eye(k, dtype=np.float32)[classes]


def test_shares_have_their_divergence():
    even = np.repeat(np.arange(100), 3)
    found = classes_covered.classes_covered(one_hot(even, 100))
    assert found["classes_covered"]["mean"] == 100
    assert found["kl_to_uniform_nats"]["mean"] == pytest.approx(0, abs=1e-12)
    one = classes_covered.classes_covered(one_hot(np.full(50, 7), 100))
    assert one["classes_covered"]["mean"] == 1
    assert one["kl_to_uniform_nats"]["mean"] == pytest.approx(np.log(100))
    half = classes_covered.kl_to_uniform(np.arange(50), 100)
    assert half == pytest.approx(np.log(2))


def net(weights):
    """Classes by which of ten pixels is the brightest."""
    return features.FeatureNet(
        "toy",
        "ab",
        "none",
        (2, 5, 1),
        lambda x: x.reshape(len(x), -1) * weights,
        lambda x: x.reshape(len(x), -1) / x.reshape(len(x), -1).sum(1, keepdims=True),
    )


def test_classes_of_a_picture_are_those_of_its_channels():
    rng = np.random.default_rng(0)
    images = rng.random((6, 2, 5, 3), np.float32)
    stacked = features.of_each_channel(net(2.0))
    of, p = stacked.see([images])
    assert of.shape == (6, 30) and p.shape == (6, 1000)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    digits = images.reshape(6, 10, 3).argmax(1)
    np.testing.assert_array_equal(p.argmax(1), digits @ [100, 10, 1])
    np.testing.assert_allclose(of[:, 10:20], 2 * images[..., 1].reshape(6, 10))
    assert stacked.num_classes == 1000


class Draws:
    """A model that draws what it is given."""

    name, can, conditional, num_classes = "draws", frozenset({"sample"}), False, 1000
    image_shape, binary, seed = (2, 5, 3), False, 0

    def sample(self, count, labels=None, seed=None):
        return np.random.default_rng(seed).random((count, *self.image_shape), np.float32)


def test_a_record_has_them_of_many_classes_alone():
    rng = np.random.default_rng(0)

    def split(name):
        images = rng.integers(0, 256, (40, 2, 5, 3), np.uint8)
        return Split(images, np.zeros(40, np.int32))

    for judge, known in ((features.of_each_channel(net(1.0)), True), (None, False)):
        found = evaluate.evaluate(Draws(), split, net=judge)
        for side in ("model", "floor"):
            assert ("classes_covered" in found["samples"][side]) == known
        assert "classes_covered" not in found["left_out"]


def test_dropped_modes_are_missed_beside_those_of_real_images():
    stacked = sources.load("stacked_fashion_mnist")
    name, judge = inputs.usual_feature_net(stacked.name, stacked.digest, stacked.image_shape)
    assert str(name) == "classifier"
    train, test = stacked.train.first(1700), stacked.test.first(1500)
    without_bags = train.images[train.labels // 100 != 8][:1500]
    of = [judge.probabilities(x / np.float32(255)) for x in (without_bags, test.images)]
    own, floor = map(classes_covered.classes_covered, of)
    assert own["classes_covered"]["mean"] < floor["classes_covered"]["mean"] - 20
    kl, of_real = own["kl_to_uniform_nats"], floor["kl_to_uniform_nats"]
    assert kl["mean"] > of_real["mean"] + 3 * kl["standard_error"]
    hits = of[1].argmax(1) == test.labels
    assert 0.72 < hits.mean() < 0.85  # 0.92 of one garment, and the third power of it
