"""The importance-weighted autoencoder (Burda et al. 2016, arXiv:1509.00519).

    L_K(x) = E[log 1/K sum_k w_k],   w_k = p(x|z_k) p(z_k) / q(z_k|x),   z_k ~ q(z|x)      (eq. 8)

L_1 is the ELBO, and L_K grows with K towards log p(x). Networks and distributions are the VAE's. As
K grows, the gradient that reaches the encoder drowns in its own noise; the doubly reparameterized
one has the same mean and less noise (Tucker et al. 2019, arXiv:1810.04152, eq. 8):

    grad_phi L_K = E[sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi)],   v_k = w_k / sum_j w_j

`beta` weighs log q(z|x)/p(z) in the loss alone; v_k^2 is then beta v_k^2 + (1 - beta) v_k.
"""

import dataclasses
from typing import Literal

import tensorflow_probability as tfp  # isort: skip  (before TensorFlow: TFP then imports it lazily)
import tensorflow as tf

from zoo.core.config import field
from zoo.math import bounds
from zoo.math.noise import standard_normal
from zoo.models import vae

tfd = tfp.distributions

_FRACTION = 2.0**-8  # with which a gradient by z does not overflow in float16; exact in float32


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    """Architecture and objective of the importance-weighted autoencoder."""

    num_samples: int = field(5, "K, the draws of q(z|x) an image in the objective.", lower=1)
    gradient: Literal["reparameterized", "doubly_reparameterized"] = field(
        "reparameterized", "The encoder's gradient; the second has less noise for a large K."
    )


class IWAE(vae.VAE):
    """A VAE of images [N, H, W, C] that is trained by the K-sample bound."""

    Config = Config
    tracked = (*vae.VAE.tracked, "iwae_nats")

    def losses(self, images, labels, training):
        """Loss = -L_K; the ELBO and its terms are logged beside it, averaged over the draws."""
        c = self.config
        doubly = training and c.gradient == "doubly_reparameterized"
        if c.num_samples == 1 and not doubly:  # L_1, whose KL has a closed form
            values = super().losses(images, labels, training)
            return {**values, "iwae_nats": values["elbo_nats"]}
        q = self.q_z_given_x(images, labels, training)
        shape = [tf.shape(images)[0], c.num_samples, self.latent_dim]
        noise = standard_normal(shape, self.next_seed())
        z = tf.transpose(q.mean()[:, None] + q.stddev()[:, None] * noise, [1, 0, 2])  # [K, B, D]
        if doubly:
            loss, terms = self._doubly_reparameterized(images, q, z, training)
        else:
            terms = self._terms(images, q, z, training)
            loss = -bounds.iwae(self._weighted(terms))
        log_p_x_given_z, log_ratio = terms
        reconstruction = tf.reduce_mean(log_p_x_given_z, 0)
        kl = bounds.kl(q, self.p_z(), draws=z)
        iwae = bounds.iwae(log_p_x_given_z - log_ratio)
        return {**self.elbo_terms(reconstruction, kl), "loss": loss, "iwae_nats": iwae}

    def _terms(self, images, q, z, training):
        """Log p(x|z) and log q(z|x)/p(z) of draws z [K, B, D]: [K, B] each; log w is their gap."""
        num_samples, batch = z.shape[0], tf.shape(images)[0]
        p = self.p_x_given_z(tf.reshape(z, [-1, self.latent_dim]), None, training)
        log_p_x_given_z = p.log_prob(tf.tile(images, [num_samples, 1, 1, 1]))
        log_ratio = q.log_prob(z) - self.p_z().log_prob(z)
        return tf.reshape(log_p_x_given_z, [num_samples, batch]), log_ratio

    def _weighted(self, terms):
        log_p_x_given_z, log_ratio = terms
        return log_p_x_given_z - self.config.beta * log_ratio

    def _doubly_reparameterized(self, images, q, z, training):
        """The loss [B], whose gradient is Tucker et al.'s for the encoder, and the terms."""
        still = [tf.stop_gradient(a) for a in (q.mean(), q.stddev())]
        still_z = tf.stop_gradient(z)
        with tf.GradientTape() as tape:
            tape.watch(still_z)
            terms = self._terms(images, tfd.MultivariateNormalDiag(*still), still_z, training)
            log_w = self._weighted(terms)  # of the decoder's weights alone
        # loss scaling does not reach this gradient, which is large where pixels are sharp
        fraction = tf.fill(tf.shape(log_w), _FRACTION)
        by_z = tape.gradient(log_w, still_z, fraction) / _FRACTION
        v = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
        weight = self.config.beta * v**2 + (1 - self.config.beta) * v
        return -with_gradient(bounds.iwae(log_w), z, weight[..., None] * by_z), terms


@tf.custom_gradient
def with_gradient(value, z, by_z):
    """`value` [B], with `by_z` [K, B, D] as its gradient by z beside what it is made of.

    Where `by_z` overflows, the value does not.
    """
    return tf.identity(value), lambda upstream: (upstream, upstream[:, None] * by_z, None)
