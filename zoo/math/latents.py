"""What one can do with latents: pure functions of codes [N, latent_dim], and pictures of them.

They serve every model that has `generate(latents, labels)`: decoders and generators alike.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from zoo.errors import InputError


def traverse(latents, dimension: int, values: Sequence[float]) -> tf.Tensor:
    """Codes that differ in one dimension only.

    Args:
      latents: [N, latent_dim].
      dimension: which one to move.
      values: the V values that it takes.

    Returns:
      [N, V, latent_dim].

    Raises:
      InputError: there is no such dimension.
    """
    latents = tf.convert_to_tensor(latents, tf.float32)
    one = _one_hot(dimension, latents.shape[-1])
    values = tf.convert_to_tensor(values, tf.float32)[None, :, None]
    return latents[:, None] * (1 - one) + values * one


def every_category(latents, variable: int, num_categories: int) -> tf.Tensor:
    """Codes of one-hots, side by side, that differ in one of them only: it is each in turn.

    Args:
      latents: [N, L * K], L one-hots of K categories.
      variable: which of the L to change.
      num_categories: K.

    Returns:
      [N, K, L * K].

    Raises:
      InputError: there is no such variable.
    """
    latents = tf.convert_to_tensor(latents, tf.float32)
    one = _one_hot(variable, latents.shape[-1] // num_categories)
    each = tf.reshape(one[:, None] * tf.eye(num_categories)[:, None], [num_categories, -1])
    return latents[:, None] * (1 - tf.repeat(one, num_categories)) + each


def interpolate(start, end, num_steps: int, spherical: bool = False) -> tf.Tensor:
    """Codes on the way from one to another, both ends included.

    Args:
      start: [N, latent_dim].
      end: [N, latent_dim].
      num_steps: S, at least 2.
      spherical: along the great circle (White 2016, arXiv:1609.04468, slerp), which keeps to the
        radius at which a Gaussian in many dimensions has its mass; else along the line.

    Returns:
      [N, S, latent_dim].
    """
    start, end = (tf.convert_to_tensor(v, tf.float32)[:, None] for v in (start, end))
    t = tf.linspace(0.0, 1.0, num_steps)[None, :, None]
    line = (1 - t) * start + t * end
    if not spherical:
        return line
    cosine = tf.reduce_sum(tf.math.l2_normalize(start, -1) * tf.math.l2_normalize(end, -1), -1)
    angle = tf.acos(tf.clip_by_value(cosine, -1.0, 1.0))[..., None]
    arc = (tf.sin((1 - t) * angle) * start + tf.sin(t * angle) * end) / tf.sin(angle)
    return tf.where(tf.sin(angle) > 1e-4, arc, line)  # (anti)parallel: no one great circle


def edit(latents, changes: Mapping[int, float]) -> tf.Tensor:
    """Codes with chosen dimensions moved by given amounts.

    Args:
      latents: [N, latent_dim].
      changes: dimension -> what is added to it.

    Raises:
      InputError: there is no such dimension.
    """
    latents = tf.convert_to_tensor(latents, tf.float32)
    for dimension, amount in changes.items():
        latents += amount * _one_hot(dimension, latents.shape[-1])
    return latents


def images_of(model, latents, labels=None) -> np.ndarray:
    """The images of codes of any leading shape: [..., latent_dim] -> [..., H, W, C].

    Args:
      model: anything with `generate`.
      latents: [..., latent_dim].
      labels: of the leading shape, for a conditional model.
    """
    lead = latents.shape[:-1]
    flat = tf.reshape(latents, [-1, latents.shape[-1]])
    images = model.generate(flat, None if labels is None else tf.reshape(labels, [-1]))
    return np.asarray(tf.reshape(images, [*lead, *images.shape[1:]]))


def _one_hot(dimension: int, latent_dim: int) -> tf.Tensor:
    if not 0 <= dimension < latent_dim:
        raise InputError(f"there is no latent dimension {dimension}: there are 0..{latent_dim - 1}")
    return tf.one_hot(dimension, latent_dim)
