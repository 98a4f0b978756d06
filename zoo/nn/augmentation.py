"""What happens to images on their way to D, with a gradient back to G. Pure functions by seed."""

import tensorflow as tf

from zoo.math.noise import standard_uniform

SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side


def diff_augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Images lit, moved and cut, each by draws of its own (Zhao et al. 2020, arXiv:2006.10738).

    Real and generated images are both so treated, in the steps of both players: D cannot learn few
    images by heart, and G is not taught to make moved ones, as it would be if only real ones were.

    Args:
      images: float32 [B, H, W, C] in [0, 1].
      seed: int32 [2].

    Returns:
      [B, H, W, C]: with other brightness (by up to 1/4 of the range), saturation (0 to 2 times) and
      contrast (1/2 to 3/2 times), moved by up to 1/8 of a side, and without a square of half the
      side; that, and what comes in at the edges, is gray.
    """
    u = tf.unstack(standard_uniform([tf.shape(images)[0], 7], seed), axis=1)
    brightness, saturation, contrast = (v[:, None, None, None] for v in u[:3])
    x = images - 0.5  # gray is 0 from here on
    x = x + (brightness - 0.5) / 2
    gray = tf.reduce_mean(x, axis=3, keepdims=True)
    x = gray + (x - gray) * 2 * saturation
    mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    x = mean + (x - mean) * (contrast + 0.5)
    height, width = images.shape[1:3]
    x = translate(x, _whole(u[3], height, SHIFT), _whole(u[4], width, SHIFT))
    rows, columns = _outside(u[5], height)[:, :, None], _outside(u[6], width)[:, None, :]
    return x * tf.maximum(rows, columns)[..., None] + 0.5


def translate(images: tf.Tensor, down: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Images [B, H, W, C] moved by whole pixels, int32 [B] each; 0 comes in at the edges."""
    height, width = images.shape[1:3]
    down, right = tf.convert_to_tensor(down), tf.convert_to_tensor(right)
    rows = tf.one_hot(tf.range(height) - down[:, None], height)  # row i shows row i - down
    columns = tf.one_hot(tf.range(width) - right[:, None], width)
    return tf.einsum("bij,bjkc,blk->bilc", rows, images, columns)


def _whole(u: tf.Tensor, side: int, share: float) -> tf.Tensor:
    """Uniform u in [0, 1) as a whole number of pixels of at most that share of the side."""
    most = int(side * share + 0.5)
    return tf.cast(tf.floor(u * (2 * most + 1)), tf.int32) - most


def _outside(u: tf.Tensor, side: int) -> tf.Tensor:
    """1 outside the cut, 0 in it: [B, side]. Its middle is anywhere, and its ends may be beyond."""
    length = int(side * CUT + 0.5)
    start = tf.floor(u * (side + 1 - length % 2))[:, None] - length // 2
    place = tf.range(side, dtype=tf.float32)
    return tf.cast((place < start) | (place >= start + length), tf.float32)
