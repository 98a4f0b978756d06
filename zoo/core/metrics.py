"""Sums over an epoch that are no means."""

import keras
import tensorflow as tf


class Perplexity(keras.metrics.Metric):
    """How many of K alternatives are in use: exp(-sum_k p_k log p_k), p the mean of weights.

    It is 1 where all examples take the same one, and K where all are taken equally often.
    """

    def __init__(self, size: int, name: str):
        """Args: size, K; name, under which it is logged."""
        super().__init__(name=name)
        self.total = self.add_variable((size,), "zeros", name="total")

    def update_state(self, weights, sample_weight=None):
        """Adds weights [B, K], each row of a sum of 1."""
        self.total.assign_add(tf.reduce_sum(weights, axis=0))

    def result(self):
        """The perplexity so far."""
        p = tf.math.divide_no_nan(self.total, tf.reduce_sum(self.total))
        return tf.exp(-tf.reduce_sum(tf.math.xlogy(p, p)))
