"""What D sees of augmented images: moves by whole pixels, cuts, light, and their gradient."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.nn import augmentation

IMAGES = np.random.default_rng(0).random((40, 16, 12, 2)).astype(np.float32) / 2 + 0.25


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, -1), (-3, 4), (20, 0)])
def test_a_move_is_a_shift_with_black_behind_it(down, right):
    moved = augmentation.translate(tf.constant(IMAGES), [down] * 40, [right] * 40).numpy()
    expected = np.zeros_like(IMAGES)
    for i in range(16):
        for j in range(12):
            if 0 <= i - down < 16 and 0 <= j - right < 12:
                expected[:, i, j] = IMAGES[:, i - down, j - right]
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_each_image_has_its_own_light_contrast_move_and_cut():
    # two halves of gray: light moves both, contrast their difference
    flat = tf.concat([tf.fill([1500, 16, 6, 1], 0.4), tf.fill([1500, 16, 6, 1], 0.6)], axis=2)
    seen = augmentation.diff_augment(flat, tf.constant([0, 1])).numpy()
    levels = [np.unique(np.round(x[np.abs(x - 0.5) > 1e-6], 5)) for x in seen]
    pairs = np.array([v for v in levels if len(v) == 2])
    middle, difference = pairs.mean(1), np.diff(pairs)[:, 0]
    assert len(pairs) > 400
    assert middle.min() == pytest.approx(0.25, abs=0.02)
    assert middle.max() == pytest.approx(0.75, abs=0.02)
    assert difference.min() == pytest.approx(0.1, abs=0.01)
    assert difference.max() == pytest.approx(0.3, abs=0.01)
    gray = (np.abs(seen - 0.5) < 1e-6).mean((1, 2, 3))
    # the cut alone is a quarter where it lies wholly inside, and moves add gray edges
    assert gray.max() > 0.25 and gray.min() < 0.15
    assert len(np.unique(seen.reshape(1500, -1), axis=0)) == 1500
    np.testing.assert_array_equal(seen, augmentation.diff_augment(flat, tf.constant([0, 1])))
    assert (seen != augmentation.diff_augment(flat, tf.constant([0, 2])).numpy()).any()


def test_moves_are_of_an_eighth_of_a_side_and_cuts_of_half_of_it():
    u = tf.constant((np.arange(2000) + 0.5) / 2000, tf.float32)
    for side, most in ((28, 4), (32, 4), (12, 2)):
        moves = augmentation._whole(u, side, augmentation.SHIFT).numpy()
        values, counts = np.unique(moves, return_counts=True)
        np.testing.assert_array_equal(values, np.arange(-most, most + 1))
        np.testing.assert_allclose(counts, 2000 / (2 * most + 1), atol=1.01)  # equally often
        cut = side - augmentation._outside(u, side).numpy().sum(1)
        # half of the side where it lies inside, and at least half of that at the edges
        assert cut.max() == side / 2 and cut.min() == side / 4


def test_saturation_leaves_gray_images_and_the_mean_of_channels():
    color = np.random.default_rng(1).random((200, 8, 8, 3)).astype(np.float32)
    seen = augmentation.diff_augment(tf.constant(color), tf.constant([0, 1])).numpy()
    gray = np.repeat(color.mean(3, keepdims=True), 3, 3)
    seen_gray = augmentation.diff_augment(tf.constant(gray), tf.constant([0, 1])).numpy()
    np.testing.assert_allclose(seen.mean(3), seen_gray.mean(3), atol=1e-5)
    np.testing.assert_allclose(seen_gray, seen_gray[..., :1].repeat(3, 3), atol=1e-5)
    spread = seen.std(3).mean((1, 2)) / color.std(3).mean()
    assert spread.min() < 0.1 and spread.max() > 1.5


def test_the_gradient_goes_back_to_the_pixels_that_are_seen():
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = augmentation.diff_augment(images, tf.constant([3, 4]))
        total = tf.reduce_sum(seen)
    gradient = tape.gradient(total, images).numpy()
    # light and color go through linear maps: with the same draws on ones and zeros the sum agrees
    zero = augmentation.diff_augment(tf.zeros_like(images), tf.constant([3, 4]))
    np.testing.assert_allclose(
        (gradient * IMAGES).sum((1, 2, 3)),
        tf.reduce_sum(seen - zero, [1, 2, 3]),
        rtol=1e-3,
        atol=1e-2,
    )
    assert (np.abs(gradient).max((1, 2, 3)) > 0).all()
