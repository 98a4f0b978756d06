"""Noise that is the same on one device and on several."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.core.checks import seed as stateless_seed

__all__ = [
    "spread_uniform",
    "standard_gumbel",
    "standard_normal",
    "standard_uniform",
    "stateless_seed",
    "whole_batch",
]


def standard_normal(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Float32 noise of N(0, I), the same on every kind of device for one seed.

    Inside a `tf.distribute` replica the noise of the whole global batch (the first axis) is drawn
    and this replica's part is returned: several devices then see what a single one would have.
    """
    return _noise(tf.random.stateless_normal, shape, seed)


def standard_uniform(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Float32 noise of Uniform(0, 1), drawn with `standard_normal`'s care."""
    return _noise(tf.random.stateless_uniform, shape, seed)


def spread_uniform(count: Any, seed: tf.Tensor) -> tf.Tensor:
    """Float32 draws of Uniform(0, 1), [count], evenly spread: (u + i/B) mod 1 of one draw u.

    The variance of a mean over a batch is far less so (Kingma et al. 2021, arXiv:2107.00630,
    appendix I.1). B and i count the examples of all replicas of `tf.distribute`.
    """
    replica, size, first = tf.distribute.get_replica_context(), count, 0
    if replica is not None and replica.num_replicas_in_sync > 1:
        size = count * replica.num_replicas_in_sync
        first = count * tf.cast(replica.replica_id_in_sync_group, tf.int32)
    own = tf.cast(first + tf.range(count), tf.float32) / tf.cast(size, tf.float32)
    return (tf.random.stateless_uniform([], seed, alg="philox") + own) % 1.0


def standard_gumbel(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Float32 noise -log(-log U) with U ~ Uniform(0, 1), drawn with `standard_normal`'s care.

    The k with the greatest logits_k + noise_k is a draw of Categorical(logits).
    """
    positive = np.finfo(np.float32).tiny  # log 0 is no number to go on with
    uniform = functools.partial(tf.random.stateless_uniform, minval=positive)
    return -tf.math.log(-tf.math.log(_noise(uniform, shape, seed)))


def _noise(draw: Callable[..., tf.Tensor], shape: Any, seed: tf.Tensor) -> tf.Tensor:
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return draw(shape, seed, alg="philox")
    shape = tf.convert_to_tensor(shape)
    local, index = shape[0], tf.cast(replica.replica_id_in_sync_group, tf.int32)
    whole = tf.concat([[local * replica.num_replicas_in_sync], shape[1:]], axis=0)
    return draw(whole, seed, alg="philox")[index * local :][:local]


def whole_batch(values: tf.Tensor) -> tf.Tensor:
    """The `values` [B, ...] of all replicas of `tf.distribute`, in their order."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_gather(values, axis=0)
