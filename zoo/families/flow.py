"""The family of normalizing flows: an invertible map between images and Gaussian noise.

    log p(v) = log N(f(v); 0, I) + log |det df/dv|      (Dinh et al. 2017, arXiv:1605.08803, eq. 2)

is the density of continuous images v, but the pixels x of images are gray levels. Noise u within a
level makes them continuous, and the density a bound on log p(x) (Ho et al. 2019, arXiv:1902.00275,
eq. 11 and 12):

    v = (255 x + u)/256,  u ~ q(u|x) in [0, 1)^D        p(x) = 256^-D int p(v) du
    log p(x) >= E_q[log p(v) - D log 256 - log q(u|x)]

The noise is uniform, log q = 0, or learned.
"""

import math
from collections.abc import Callable

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.families.latent_variable import LatentVariableModel
from zoo.math.pixels import in_unit_range

tfd = tfp.distributions

LEVELS = 256


class FlowModel(LatentVariableModel):
    """An invertible map f of images [B, H, W, C] to latents z = f(v) [B, H W C].

    q(z|x) and p(x|z) are of the middle of each level, u = 1/2, and known exactly: all their mass is
    at one place. `generate` is the inverse of `encode` but for rounding errors, with gray levels
    between 0 and 255. A model of this family defines `to_latents`, `from_latents` and `dequantize`.
    """

    can = LatentVariableModel.can - {"decode", "reconstruct", "kl_per_dim"}
    most_draws = 10  # each takes all couplings
    tracked = ("loss", "elbo_nats", "bits_per_dim")

    @property
    def latent_dim(self) -> int:
        """D, as many as the images have pixels and channels."""
        return math.prod(self.image_shape)

    def to_latents(self, v, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """The latents f(v) of v [B, H, W, C] in (0, 1), [B, D], and log |det df/dv|, [B]."""
        raise NotImplementedError

    def from_latents(self, z) -> tf.Tensor:
        """The inverse f^-1(z) of z [B, D]: [B, H, W, C] in (0, 1)."""
        raise NotImplementedError

    def dequantize(self, images, seed, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """A draw u ~ q(u|x) of images [B, H, W, C], of their shape, and log q(u|x) in nats, [B]."""
        raise NotImplementedError

    def p_z(self, labels=None) -> tfd.Distribution:
        """The prior N(0, I), of event shape [D]."""
        return tfd.MultivariateNormalDiag(tf.zeros([self.latent_dim]), tf.ones([self.latent_dim]))

    def q_z_given_x(self, images, labels=None, training=False) -> tfd.Distribution:
        """All mass at f(v) of v = (255 x + 1/2)/256."""

        def latents(x):
            return self.to_latents((tf.round(255 * in_unit_range(x)) + 0.5) / LEVELS)[0]

        return tfd.Independent(tfd.Deterministic(self.in_batches(latents, images)), 1)

    def p_x_given_z(self, latents, labels=None, training=False) -> tfd.Distribution:
        """All mass at the image of f^-1(z)."""

        def images(z):
            return tf.clip_by_value((LEVELS * self.from_latents(z) - 0.5) / 255, 0.0, 1.0)

        return tfd.Independent(tfd.Deterministic(self.in_batches(images, latents)), 3)

    def call(self, images, training=False) -> tf.Tensor:
        """The latents of images [N, H, W, C]."""
        return self.code(self.encode(images))

    def log_p_v(self, v, training: bool = False) -> tf.Tensor:
        """Log p(v), the density of v [B, H, W, C] in (0, 1), in nats [B]."""
        z, log_det = self.to_latents(v, training)
        return self.p_z().log_prob(z) + log_det

    def log_weight(self, images, seed, training: bool = False) -> tf.Tensor:
        """Log p(v) - D log 256 - log q(u|x) of a draw of u: nats [B], a bound in expectation."""
        u, log_q = self.dequantize(images, seed, training)
        v = (tf.round(255 * images) + u) / LEVELS
        return self.log_p_v(v, training) - self.latent_dim * math.log(LEVELS) - log_q

    def log_weights(self, images, labels) -> Callable[[tf.Tensor], tf.Tensor]:
        """`log_weight` by a seed."""
        return lambda seed: self.log_weight(images, seed)

    def losses(self, images, labels, training):
        """Loss = -E_q[log p(v) - D log 256 - log q(u|x)], the negative bound."""
        elbo = self.log_weight(images, self.next_seed(), training)
        return {"loss": -elbo, "elbo_nats": elbo, "bits_per_dim": self.bits_per_dim(elbo)}
