"""Noise that is spread over a batch."""

import numpy as np
import tensorflow as tf

from zoo.math import noise


def test_spread_draws_are_uniform_and_one_in_each_part():
    for seed in range(5):
        drawn = np.sort(noise.spread_uniform(10, tf.constant([seed, 0])))
        np.testing.assert_array_equal(np.floor(10 * drawn), np.arange(10))
    first = np.stack([noise.spread_uniform(4, tf.constant([s, 1]))[2] for s in range(400)])
    assert abs(first.mean() - 0.5) < 0.06 and abs(first.std() - 12**-0.5) < 0.04
