"""How many alternatives are in use, and sums over an epoch that are no means."""

from collections.abc import Sequence

import keras
import tensorflow as tf


def perplexity(p: tf.Tensor) -> tf.Tensor:
    """exp(-sum_k p_k log p_k) of weights [..., K]: 1 where one has all, K where all are equal."""
    return tf.exp(-tf.reduce_sum(tf.math.xlogy(p, p), -1))


class Perplexity(keras.metrics.Metric):
    """How many of K alternatives are in use: the perplexity of the mean of weights.

    It is 1 where all examples take the same one, and K where all are taken equally often. Of
    several choices it is the mean.
    """

    def __init__(self, shape: Sequence[int], name: str):
        """Of weights [B, *shape], logged under a name; the last axis is that of alternatives."""
        super().__init__(name=name)
        self.total = self.add_variable(tuple(shape), "zeros", name="total")

    def update_state(self, weights, sample_weight=None):
        """Adds weights [B, ..., K], each row of a sum of 1."""
        self.total.assign_add(tf.reduce_sum(weights, axis=0))

    def result(self):
        """The perplexity so far."""
        total = tf.convert_to_tensor(self.total)
        p = tf.math.divide_no_nan(total, tf.reduce_sum(total, -1, keepdims=True))
        return tf.reduce_mean(perplexity(p))
