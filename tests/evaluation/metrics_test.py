"""Figures of images: sharpness, nearest training images, Parzen windows, learning from samples."""

import numpy as np
import pytest

import zoo
from zoo.data import Split
from zoo.evaluation import metrics, quality


def test_sharpness_in_closed_form():
    flat = np.full((1, 8, 8, 1), 130, np.uint8)
    board = (np.indices((10, 10)).sum(0) % 2 * 255).astype(np.uint8)[None, ..., None]
    # on a chessboard of 0 and 1 the Laplacian is 4 or -4, as often
    np.testing.assert_allclose(quality.sharpness(np.concatenate([board])), 16.0, rtol=1e-6)
    assert quality.sharpness(flat) == 0


def test_sharpness_falls_with_blur_and_rises_with_noise(fashion_mnist):
    images = fashion_mnist.test.images[:100].astype(float)
    found = [quality.sharpness(images.astype(np.uint8)).mean()]
    for _ in range(3):
        images = (images + np.roll(images, 1, 1) + np.roll(images, 1, 2)) / 3
        found.append(quality.sharpness(images.astype(np.uint8)).mean())
    assert (np.diff(found) < 0).all()
    noise = np.random.default_rng(0).normal(0, 40, images.shape)
    noisy = np.clip(fashion_mnist.test.images[:100] + noise, 0, 255).astype(np.uint8)
    assert quality.sharpness(noisy).mean() > found[0]


def test_copies_of_training_images_are_at_distance_zero_and_others_where_they_are():
    train = np.random.default_rng(0).integers(0, 200, (50, 4, 4, 1)).astype(np.uint8)
    copies = metrics.nearest_training_images(train[7:20], train)
    assert copies["mean"] == pytest.approx(0, abs=1e-3) and max(copies["quantiles"]) < 1e-3
    moved = metrics.nearest_training_images(train[7:20] + np.uint8(51), train[7:20])
    nearer = ((train[7:20, None] + 51.0 - train[None, 7:20]) ** 2).sum((2, 3, 4)).min(1) ** 0.5
    assert moved["mean"] == pytest.approx((nearer / 255).mean(), rel=1e-5)
    assert moved["quantiles"] == sorted(moved["quantiles"])


def test_parzen_window_prefers_images_of_the_kind(fashion_mnist):
    train, test = fashion_mnist.train.images, fashion_mnist.test.images
    noise = np.random.default_rng(0).integers(0, 256, (500, 28, 28, 1)).astype(np.uint8)
    validation = fashion_mnist.validation.images[:200]
    good = metrics.parzen_window(train[:500], validation, test[:100])
    bad = metrics.parzen_window(noise, validation, test[:100])
    assert good["mean"] > bad["mean"] + 100
    assert good["sigma"] < bad["sigma"]


def test_a_classifier_learns_from_images_with_their_labels_and_not_from_mixed_up_ones(
    fashion_mnist,
):
    train, test = fashion_mnist.train, fashion_mnist.test
    real = Split(test.images[:1000], test.labels[:1000])

    def score(labels, seed=0):
        made = Split(train.images[:2000], labels)
        return metrics.classification_accuracy_score(
            lambda: zoo.create("classifier", width=8), made, real, seed
        )

    found = score(train.labels[:2000])
    assert found["mean"] > 0.65
    assert found == score(train.labels[:2000])  # the seed decides
    mixed = np.random.default_rng(0).permutation(train.labels[:2000])
    assert score(mixed)["mean"] < 0.4


def test_what_a_sampler_says_is_averaged_over_batches():
    nan = float("nan")
    first = {"acceptance": np.float32(0.5), "r_hat": np.array([1.0, 3.0, nan])}
    other = {"acceptance": np.float32(0.7), "r_hat": np.array([2.0, nan, nan])}
    found = metrics.of_sampler([first, other])
    assert found["acceptance"]["mean"] == pytest.approx(0.6)
    means = [of and of["mean"] for of in found["r_hat_per_class"]]
    assert means == [1.5, 3.0, None]  # no chains of the last class
    assert metrics.of_sampler([{}, {}]) == {}
