"""The scales of pixels: levels 0..255, [0, 1] of every public method, [-1, 1] of networks; bits."""

import tensorflow as tf


def in_unit_range(images: tf.Tensor) -> tf.Tensor:
    """Images as float32 in [0, 1]; uint8 levels k become k/255."""
    images = tf.convert_to_tensor(images)
    levels = 255.0 if images.dtype == tf.uint8 else 1.0
    return tf.cast(images, tf.float32) / levels


def signed(images: tf.Tensor) -> tf.Tensor:
    """Images of [0, 1] as what discriminators see, [-1, 1]."""
    return 2 * images - 1


def bits_per_dim(nats: tf.Tensor, num_dims: int) -> tf.Tensor:
    """Code length of an example in bits a dimension: -nats / (num_dims log 2)."""
    return -nats / (num_dims * tf.math.log(2.0))
