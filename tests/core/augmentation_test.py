"""What D sees of augmented images: moves by whole pixels, cuts, light, and their gradient."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.core import augmentation

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


def test_each_image_is_lit_moved_and_cut_by_its_own_draws():
    ones = tf.ones([400, 16, 12, 1]) * 0.8
    seen = augmentation.diff_augment(ones, tf.constant([0, 1])).numpy()
    light = seen.max((1, 2, 3))
    assert light.min() == pytest.approx(0.3, abs=0.02) and light.max() == pytest.approx(
        1.3, abs=0.02
    )
    black = (seen == 0).mean((1, 2, 3))
    # the cut alone is a quarter where it lies wholly inside, and moves add black edges
    assert black.max() > 0.25 and black.min() < 0.1
    assert len(np.unique(seen.reshape(400, -1), axis=0)) == 400
    np.testing.assert_array_equal(seen, augmentation.diff_augment(ones, tf.constant([0, 1])))
    assert (seen != augmentation.diff_augment(ones, tf.constant([0, 2])).numpy()).any()


def test_the_gradient_goes_back_to_the_pixels_that_are_seen():
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = augmentation.diff_augment(images, tf.constant([3, 4]))
        total = tf.reduce_sum(seen, [1, 2, 3])
    gradient = tape.gradient(total, images).numpy()
    assert set(np.unique(gradient)) == {0.0, 1.0}  # each pixel is seen once, or not at all
    shown = (seen.numpy() != 0).sum((1, 2, 3))
    assert (gradient.sum((1, 2, 3)) >= shown - 2).all()
