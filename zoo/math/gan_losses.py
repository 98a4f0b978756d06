"""The games that a generator and a discriminator play, from D's raw outputs. Pure functions.

A `Game` is what D ascends and what G descends, per example. In the minimax game these are logits,
D = sigmoid(logits): log D = -softplus(-logits) and log(1 - D) = -softplus(logits), so that a
confident discriminator costs no precision. In the others they are scores. No constant and no label
smoothing is hidden in any of them.

Penalties keep the slope of D in bounds; they are of D alone, whatever the game.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from zoo.math.noise import whole_batch


class Game(NamedTuple):
    """One pair of objectives.

    Attributes:
      value: D ascends it: raw outputs of real and generated images [B] -> [B].
      generator_loss: G descends it: raw outputs of generated images [B] -> [B].
      equilibrium: `value` where G makes what is real and D is at its best.
      probabilistic: whether D = sigmoid(raw output) is the probability that an image is real.
      undecided: the raw output u at which D does not know. Real and made change places by
        mirroring there: value(r, f) = value(2u - f, 2u - r).
      paired: whether each generated image is held against a real one: `generator_loss` is then of
        the raw outputs of both.
    """

    value: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    generator_loss: Callable[..., tf.Tensor]
    equilibrium: float
    probabilistic: bool = False
    undecided: float = 0.0
    paired: bool = False


def value(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """V(D, G) = log D(x) + log(1 - D(G(z)))  (Goodfellow et al. 2014, eq. 1), per example [B].

    D ascends its mean. At the equilibrium D = 1/2 and V = -log 4.
    """
    return -tf.nn.softplus(-real_logits) - tf.nn.softplus(fake_logits)


def saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """Log(1 - D(G(z))), minimized by G: G's own half of V, [B].

    Its slope in the logit is -D(G(z)), which vanishes when D is sure: G starves.
    """
    return -tf.nn.softplus(fake_logits)


def non_saturating(fake_logits: tf.Tensor) -> tf.Tensor:
    """-log D(G(z)), minimized by G, [B].

    The same fixed point as `saturating`, with the slope -(1 - D(G(z))), strong when D is sure.
    """
    return tf.nn.softplus(-fake_logits)


def wasserstein_value(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """D(x) - D(G(z)): its mean, over D's Lipschitz constant, is at most the earth mover's distance.

    Arjovsky et al. 2017, eq. 2; per example [B].
    """
    return real - fake


def wasserstein(fake: tf.Tensor) -> tf.Tensor:
    """-D(G(z)), minimized by G, [B]; the same for the hinge game."""
    return -fake


def hinge_value(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """min(0, D(x) - 1) + min(0, -D(G(z)) - 1), [B]  (Miyato et al. 2018, eq. 16)."""
    return -tf.nn.relu(1 - real) - tf.nn.relu(1 + fake)


def least_squares_value(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """-1/2 (D(x) - 1)^2 - 1/2 D(G(z))^2, [B]  (Mao et al. 2017, eq. 9 with its factors 1/2)."""
    return -tf.square(real - 1) / 2 - tf.square(fake) / 2


def least_squares(fake: tf.Tensor) -> tf.Tensor:
    """1/2 (D(G(z)) - 1)^2, minimized by G, [B]."""
    return tf.square(fake - 1) / 2


def relativistic_value(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """-softplus(D(G(z)) - D(x)), [B]: whether D ranks a real image above a generated one.

    Jolicoeur-Martineau 2019 (arXiv:1807.00734), eq. 5-6, in pairs as in Huang et al. 2024
    (arXiv:2501.05441), eq. 2.
    """
    return -tf.nn.softplus(fake - real)


def relativistic(fake: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Softplus(D(x) - D(G(z))), minimized by G, [B]: the opposite ranking."""
    return tf.nn.softplus(real - fake)


GAMES = {
    "non_saturating": Game(value, non_saturating, -math.log(4), probabilistic=True),
    "saturating": Game(value, saturating, -math.log(4), probabilistic=True),
    "wasserstein": Game(wasserstein_value, wasserstein, 0.0),
    "hinge": Game(hinge_value, wasserstein, -2.0),
    "least_squares": Game(least_squares_value, least_squares, -1 / 4, undecided=1 / 2),
    "relativistic": Game(relativistic_value, relativistic, -math.log(2), paired=True),
}


def slopes(d: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    """|grad D(x)| of each image [B, H, W, C], by all its pixels: [B]."""
    # at 0 the root has no slope; 1e-12 is far below what a penalty tells from 0
    return tf.sqrt(_squared_slopes(d, images) + 1e-12)


def gradient_penalty(
    d: Callable[[tf.Tensor], tf.Tensor],
    real: tf.Tensor,
    fake: tf.Tensor,
    share: tf.Tensor,
    target: float = 1.0,
) -> tf.Tensor:
    """(|grad D(u)| / target - 1)^2 between real and generated images, [B].

    Gulrajani et al. 2017 (arXiv:1704.00028), eq. 3.

    Args:
      d: images -> raw outputs [B]; an image's must not depend on the others' (no batch norm).
      real: images [B, H, W, C], or whatever else D sees [B, ...].
      fake: as many.
      share: of `real` in u = share * real + (1 - share) * fake, uniform in [0, 1], [B].
      target: the slope that is not punished.
    """
    share = tf.reshape(share, [-1] + [1] * (real.shape.rank - 1))
    return (slopes(d, share * real + (1 - share) * fake) / target - 1) ** 2


def dragan_penalty(
    d: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor, noise: tf.Tensor, share: tf.Tensor
) -> tf.Tensor:
    """(|grad D(u)| - 1)^2 around real images alone, [B]  (Kodali et al. 2017, arXiv:1705.07215).

    Deviations, all of which are usual in code for it: noise is uniform, from 0 to half of the
    pixels' standard deviation over the batch, where the paper has Gaussian noise of mean 0, so that
    it only makes pixels brighter; of it each image gets a random share; and so moved pixels may
    leave the range of images.

    Args:
      d: as for `gradient_penalty`.
      real: images [B, H, W, C].
      noise: uniform in [0, 1], [B, H, W, C].
      share: of the unmoved image in u, uniform in [0, 1], [B].
    """
    moved = real + tf.math.reduce_std(whole_batch(real)) / 2 * noise
    return gradient_penalty(d, real, moved, share)


def r1_penalty(d: Callable[[tf.Tensor], tf.Tensor], real: tf.Tensor) -> tf.Tensor:
    """1/2 |grad D(x)|^2 of real images, [B]  (Mescheder et al. 2018, eq. 9).

    Of generated ones it is their R2 (eq. 10).
    """
    return _squared_slopes(d, real) / 2


# In float16 a small slope would vanish on its way down; a power of two costs no precision.
_SCALE = 256.0


def _squared_slopes(d: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        outputs = d(images) * _SCALE
    gradient = tf.cast(tape.gradient(outputs, images), tf.float32) / _SCALE
    return tf.reduce_sum(gradient**2, axis=range(1, images.shape.rank))
