"""Batches that are a function of (seed, step): a run can go on anywhere, at no cost.

Images stay uint8 all the way to the device, which scales them. Those that are in a file, and not in
memory, are read from there batch by batch.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from zoo.data import store
from zoo.data.sources import Split
from zoo.errors import InputError

BINARIZATIONS = ("none", "static", "stochastic")
EXACT_BATCH = 100  # images to measure at a time where each pixel has a softmax over its levels

# `tf.random.experimental.index_shuffle` fixes 4 rounds of its cipher: too few, the orders of two
# epochs of 55,000 images then correlate by 0.8. From 16 rounds on nothing is left of it.
_SHUFFLE_ROUNDS = 24
_NOISE_OF = {"test": 0, "validation": 1, "train": 2}  # of independent sets
_STATIC_SEED = 0  # static binarization makes one data set, whatever the seed of a run


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Whole batches in a pass over a split.

    Raises:
      InputError: there is not even one, or `batch_size` is below 1.
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}, and must be at least 1")
    if len(split) < batch_size:
        raise InputError(f"{len(split)} training images are too few for a batch of {batch_size}")
    return len(split) // batch_size


def binarize(images: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Each pixel of a split 255 with probability pixel/255, else 0: a draw for each name and seed.

    Args:
      images: uint8 [N, H, W, C].
      name: of the split: images of different ones have different noise.
      seed: of the noise.
    """
    rng = np.random.Generator(np.random.Philox([seed, _NOISE_OF[name]]))
    noise = rng.random(images.shape, np.float32)
    return np.where(noise < images / np.float32(255), np.uint8(255), np.uint8(0))


def train_batches(
    split: Split,
    batch_size: int,
    *,
    seed: int,
    start: int = 0,
    stop: int,
    binarization: str = "none",
    flip: bool = False,
) -> tf.data.Dataset:
    """Batches `start` to `stop` - 1 of an endless training, each a function of (seed, i) alone.

    Every epoch is a permutation of its own, of which the incomplete last batch is left out.

    Args:
      split: what to draw from.
      batch_size: B.
      seed: of the order, and of stochastic pixels.
      start: the first step.
      stop: the step after the last.
      binarization: `none`; `static`, drawn once for all runs; `stochastic`, anew at each step.
      flip: whether each image is mirrored, left for right, with probability 1/2.

    Returns:
      Pairs of uint8 [B, H, W, C] and int32 [B].

    Raises:
      InputError: too few images for one batch, or an unknown binarization.
    """
    _check(binarization)
    per_epoch = steps_per_epoch(split, batch_size)
    pixels = split.images
    if binarization == "static":
        pixels = binarize(pixels, "train", _STATIC_SEED)
    take = _taking(pixels)
    with tf.device("CPU:0"):
        labels = tf.constant(split.labels)

    @tf.autograph.experimental.do_not_convert
    def batch(i):
        epoch, k = i // per_epoch, i % per_epoch
        index = tf.raw_ops.RandomIndexShuffle(
            index=tf.range(k * batch_size, (k + 1) * batch_size),
            seed=tf.stack([tf.constant(seed, tf.int64), epoch, 0]),
            max_index=tf.constant(len(split) - 1, tf.int64),
            rounds=_SHUFFLE_ROUNDS,
        )
        x, y = take(index), tf.gather(labels, index)
        if flip:
            key = tf.random.experimental.stateless_fold_in(tf.stack([seed, 2]), i)
            mirrored = tf.random.stateless_uniform([batch_size, 1, 1, 1], key) < 0.5
            x = tf.where(mirrored, x[:, :, ::-1], x)
        if binarization == "stochastic":
            key = tf.random.experimental.stateless_fold_in(tf.stack([seed, 1]), i)
            noise = tf.random.stateless_uniform([batch_size, *split.images.shape[1:]], key)
            x = tf.where(noise < tf.cast(x, tf.float32) / 255.0, np.uint8(255), np.uint8(0))
        x = tf.ensure_shape(x, [batch_size, *split.images.shape[1:]])
        return x, tf.ensure_shape(y, [batch_size])

    steps = tf.data.Dataset.range(start, stop)
    return steps.map(batch, num_parallel_calls=2, deterministic=True).prefetch(2)


def _taking(images: np.ndarray):
    """A function that gives, in a graph, the images of these numbers."""
    if not store.is_on_disk(images):
        with tf.device("CPU:0"):
            held = tf.constant(images)
        return lambda index: tf.gather(held, index)

    def take(index):
        x = tf.numpy_function(lambda i: store.rows(images, i), [index], tf.uint8)
        return tf.ensure_shape(x, [index.shape[0], *images.shape[1:]])

    return take


def binarized(split: Split, name: str, binarization: str, seed: int = 0) -> Split:
    """The split of that name as a model trained with this binarization sees it in evaluation.

    An evaluation must be repeatable, so stochastic binarization too draws once, by the seed.
    """
    _check(binarization)
    if binarization == "none":
        return split
    drawn = binarize(split.images, name, _STATIC_SEED if binarization == "static" else seed)
    return dataclasses.replace(split, images=drawn)


def evaluation_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Every image once, in order, with its label; the last batch may be smaller."""
    if store.is_on_disk(split.images):
        take, labels = _taking(split.images), tf.constant(split.labels)
        numbers = tf.data.Dataset.range(len(split)).batch(batch_size)

        @tf.autograph.experimental.do_not_convert
        def batch(i):
            return take(i), tf.gather(labels, i)

        return numbers.map(batch).prefetch(2)
    with tf.device("CPU:0"):
        images = tf.data.Dataset.from_tensor_slices((split.images, split.labels))
    return images.batch(batch_size).prefetch(2)


def _check(binarization: str) -> None:
    if binarization not in BINARIZATIONS:
        raise InputError(f"binarization is {binarization!r}: choose {', '.join(BINARIZATIONS)}")
